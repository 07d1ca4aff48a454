import ArgumentParser
import DroverServer

/// Where clients are listened to.
struct ListenOptions: ParsableArguments {
    @Option(
        name: [.long, .customLong("listen-client-urls")],
        help:
            """
            Where to listen: HOST:PORT, :PORT, http://HOST:PORT, https://HOST:PORT, unix:///path or unixs:///path; may \
            be repeated, and divided by commas. Without a scheme it is https where there is a certificate. Default \
            127.0.0.1:2379.
            """
    )
    var listenAddress: [String] = Environment.list("LISTEN_ADDRESS", "LISTEN_CLIENT_URLS")

    @Option(
        name: [.customLong("listen-metrics-urls"), .customLong("metrics-bind-address")],
        help: "Where to serve metrics and health alone, besides; in the same forms. 0 is nowhere."
    )
    var listenMetricsUrls: [String] = Environment.list("LISTEN_METRICS_URLS", "METRICS_BIND_ADDRESS")

    @Option(help: "The permissions of unix sockets, in octal.")
    var socketMode: String = Environment.value("SOCKET_MODE") ?? "0600"

    func validate() throws { _ = try socketPermissions }

    var socketPermissions: UInt32 {
        get throws {
            guard let mode = UInt32(socketMode, radix: 8), mode <= 0o777 else {
                throw ValidationError("--socket-mode must be permissions in octal, such as 0660.")
            }
            return mode
        }
    }

    /// Everything to listen on, addresses for clients first; at least one.
    func listeners(hasCertificate: Bool) throws -> [ServerConfiguration.Listener] {
        func parse(_ words: [String], _ option: String, _ metricsOnly: Bool) throws -> [ServerConfiguration.Listener] {
            try words.flatMap { $0.split(separator: ",") }.map { word in
                try Self.listener(String(word), option, hasCertificate: hasCertificate, metricsOnly: metricsOnly)
            }
        }
        var clients = try parse(listenAddress, "--listen-address", false)
        if clients.isEmpty { clients = try parse(["127.0.0.1:2379"], "--listen-address", false) }
        let metrics = try parse(listenMetricsUrls.filter { $0 != "0" }, "--listen-metrics-urls", true)
        return clients + metrics
    }

    private static func listener(
        _ word: String,
        _ option: String,
        hasCertificate: Bool,
        metricsOnly: Bool
    ) throws -> ServerConfiguration.Listener {
        var text = word
        var scheme: String?
        if let mark = word.firstRange(of: "://") {
            scheme = String(word[..<mark.lowerBound])
            text = String(word[mark.upperBound...])
        }
        let isEncrypted: Bool
        switch scheme {
        case "http", "unix": isEncrypted = false
        case "https", "unixs": isEncrypted = true
        // Metrics are asked for by programs that have no certificate.
        case nil, "tcp": isEncrypted = hasCertificate && !metricsOnly
        default: throw ValidationError("\(option) must be HOST:PORT, or a URL of http, https, unix or unixs.")
        }
        if isEncrypted && !hasCertificate {
            throw ValidationError("\(option) asks for TLS: --server-cert-file and --server-key-file are needed.")
        }
        if scheme == "unix" || scheme == "unixs" {
            return .init(.unix(path: text), isEncrypted: isEncrypted, servesMetricsOnly: metricsOnly)
        }
        if text.hasSuffix("/") { text.removeLast() }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else {
            throw ValidationError("\(option) must be HOST:PORT, :PORT or unix:///path.")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("[") && host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return .init(
            .tcp(host: host.isEmpty ? "0.0.0.0" : host, port: port),
            isEncrypted: isEncrypted,
            servesMetricsOnly: metricsOnly
        )
    }
}
