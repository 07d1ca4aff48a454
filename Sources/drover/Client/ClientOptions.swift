import ArgumentParser
import DroverClient

/// The flags that every command of the client has, by etcdctl's names; `ETCDCTL_…` of the environment is read as by it.
struct ClientOptions: ParsableArguments {
    @Option(
        name: .customLong("endpoints"),
        parsing: .singleValue,
        help: "The servers, divided by commas; the first that answers is asked. (default: 127.0.0.1:2379)"
    )
    var givenEndpoints: [String] = []

    var endpoints: String {
        givenEndpoints.isEmpty
            ? Environment.client("ENDPOINTS") ?? "127.0.0.1:2379" : givenEndpoints.joined(separator: ",")
    }

    @Option(help: "The user of auth, as NAME or NAME:PASSWORD; asked for when there is no password.")
    var user: String?

    @Option(help: "The user's password; --user is then a name alone.")
    var password: String?

    @OptionGroup var tlsFiles: ClientTLSFiles

    @Flag(help: "Take any certificate for the server's: for tests alone.")
    var insecureSkipTlsVerify = Environment.clientFlag("INSECURE_SKIP_TLS_VERIFY")

    @Flag(inversion: .prefixedNo, help: .hidden)
    var insecureTransport = !["0", "false", "f"].contains(Environment.client("INSECURE_TRANSPORT")?.lowercased())

    @Flag(inversion: .prefixedNo, help: .hidden)
    var debug = false

    @Option(name: [.customShort("w"), .long], help: "How to print: simple, fields, json, table or protobuf.")
    var writeOut: OutputForm = Environment.client("WRITE_OUT").flatMap(OutputForm.init) ?? .simple

    @Flag(help: "Print bytes in hexadecimal.")
    var hex = Environment.clientFlag("HEX")

    @Option(
        name: .customLong("command-timeout"),
        help: "How long a command may take that does not wait for anything. (default: 5s)"
    )
    var givenTimeout: String?

    /// The time limit that was asked for; nil where nobody has.
    var ownTimeout: String? { givenTimeout ?? Environment.client("COMMAND_TIMEOUT") }
    var commandTimeout: String { ownTimeout ?? "5s" }

    @Option(help: "How long a connection may take.")
    var dialTimeout: String = Environment.client("DIAL_TIMEOUT") ?? "2s"

    @Option(help: .hidden)
    var keepaliveTime: String = "2s"

    @Option(help: .hidden)
    var keepaliveTimeout: String = "6s"

    func validate() throws {
        for text in [commandTimeout, dialTimeout] where Duration.seconds(of: text) == nil {
            throw ValidationError("--command-timeout and --dial-timeout must be durations, such as 5s.")
        }
    }

    /// The endpoints, one by one.
    func endpointList() throws -> [Endpoint] {
        try endpoints.split(separator: ",").map { try Endpoint(String($0)) }
    }

    /// Whom to ask, and as whom.
    func configuration(_ endpoints: [Endpoint]) throws -> EtcdClient.Configuration {
        var configuration = EtcdClient.Configuration(endpoints: endpoints)
        configuration.tls = tlsFiles.tls(
            acceptsAnyCertificate: insecureSkipTlsVerify,
            isWanted: !insecureTransport
        )
        configuration.dialTimeout = .milliseconds(Int64(Duration.seconds(of: dialTimeout)! * 1_000))
        // Not the options' defaults, which the help would show.
        if let user = user ?? Environment.client("USER") {
            if let password = password ?? Environment.client("PASSWORD") {
                (configuration.user, configuration.password) = (user, password)
            } else if let colon = user.firstIndex(of: ":") {
                configuration.user = String(user[..<colon])
                configuration.password = String(user[user.index(after: colon)...])
            } else {
                configuration.user = user
                configuration.password = try Terminal.password("Password: ")
            }
        }
        return configuration
    }
}
