/// Flags as Go's programs take them, `--hex=true` and `--interactive=false`, put as the parser of the command line wants them.
enum GoFlags {
    private static let commands: Set<String> = [
        "get", "put", "del", "txn", "watch", "compaction", "compact", "lease", "lock", "elect", "member", "endpoint",
        "alarm",
        "defrag", "snapshot", "move-leader", "downgrade", "user", "role", "auth", "serve",
    ]

    /// Commands that have commands of their own.
    private static let groups: Set<String> = [
        "lease", "member", "endpoint", "alarm", "snapshot", "downgrade", "user", "role", "auth",
    ]

    private static let flags: Set<String> = [
        "prefix", "from-key", "prev-kv", "keys-only", "count-only", "print-value-only", "ignore-value", "ignore-lease",
        "hex", "interactive", "cluster", "physical", "learner", "once", "keys", "listen", "progress-notify",
        "no-password", "detail", "insecure-skip-tls-verify", "insecure-transport", "debug", "client-cert-auth",
        "skip-verify", "metrics-enable-profiling", "metrics-ignore-tls-config",
    ]

    private static let canBeOff: Set<String> = ["insecure-transport", "debug", "client-cert-auth", "skip-verify"]

    /// Flags of all commands that have a value; etcdctl's users write them before the command as well.
    private static let options: Set<String> = [
        "--endpoints", "--user", "--password", "--cacert", "--cert", "--key", "--write-out", "-w", "--command-timeout",
        "--dial-timeout", "--keepalive-time", "--keepalive-timeout",
    ]

    /// Whether what was normalized is a command of the client.
    static func isClient(_ arguments: [String]) -> Bool {
        arguments.first.map { commands.contains($0) && $0 != "serve" } ?? false
    }

    static func normalized(_ given: [String]) -> [String] {
        let arguments = apart(given)
        let leading = leadingFlags(arguments)
        let rest = arguments.dropFirst(leading)
        // `serve` may be left out, as in kine.
        if rest.first?.hasPrefix("-") ?? (leading > 0) { return plain(arguments, of: "serve") }
        guard let command = rest.first, commands.contains(command) else { return arguments }
        let own = rest.prefix { $0 != "--" }
        var behind = Array(own.dropFirst())
        // Flags of all commands may stand between a command and the one of its own, too.
        if groups.contains(command) {
            let between = leadingFlags(behind)
            behind = Array(behind[between...] + behind[..<between])
        }
        return plain([command] + behind + arguments.prefix(leading), of: command) + words(after: own.count, of: rest)
    }

    /// `-wjson` as two words, before any `--`.
    private static func apart(_ arguments: [String]) -> [String] {
        let own = arguments.prefix { $0 != "--" }
        return own.flatMap { argument -> [String] in
            guard argument.hasPrefix("-w"), argument.count > 2 else { return [argument] }
            let value = argument.dropFirst(2)
            return ["-w", String(value.first == "=" ? value.dropFirst() : value)]
        } + arguments.dropFirst(own.count)
    }

    private static func plain(_ arguments: some Sequence<String>, of command: String) -> [String] {
        arguments.compactMap { argument -> String? in
            guard argument.hasPrefix("--"), let sign = argument.firstIndex(of: "=") else { return argument }
            let name = argument[argument.index(argument.startIndex, offsetBy: 2)..<sign]
            guard flags.contains(String(name)) else { return argument }
            switch argument[argument.index(after: sign)...] {
            case "true", "1", "t": return "--\(name)"
            // Passwords are asked for and cleartext is allowed unless one says otherwise; others may be set in the
            // environment.
            case "false", "0", "f":
                let mayBeOn = canBeOff.contains(String(name)) || command == "user" && name == "interactive"
                return mayBeOn ? "--no-\(name)" : nil
            default: return argument
            }
        }
    }

    /// What follows `--`: for `watch`, a command rather than more keys.
    private static func words(after count: Int, of rest: ArraySlice<String>) -> [String] {
        let words = rest.dropFirst(count)
        guard rest.first == "watch" else { return Array(words) }
        return words.dropFirst().flatMap { ["--exec", $0] }
    }

    /// How many arguments before the command are flags of all commands, with their values.
    private static func leadingFlags(_ arguments: [String]) -> Int {
        var count = 0
        while count < arguments.count, arguments[count].hasPrefix("-") {
            let name = String(arguments[count].prefix { $0 != "=" })
            if options.contains(name) {
                count += name == arguments[count] ? 2 : 1
            } else if flags.contains(String(name.drop { $0 == "-" })) {
                count += 1
            } else {
                return 0
            }
        }
        return min(count, arguments.count)
    }
}
