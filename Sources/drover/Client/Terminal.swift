#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Reading from whoever runs the command.
enum Terminal {
    /// Everything that standard input has.
    ///
    /// - Throws: ``CommandFailure`` when it cannot be read to its end.
    static func input() throws -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(0, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count > 0 {
                bytes.append(contentsOf: chunk[..<count])
            } else if errno != EINTR {
                throw CommandFailure.badArguments("standard input cannot be read: \(String(cString: strerror(errno)))")
            }
        }
    }

    /// A password, typed without being shown.
    ///
    /// - Throws: ``CommandFailure`` when nobody can type one.
    static func password(_ prompt: String) throws -> String {
        FileHandles.standardError(prompt)
        var settings = termios()
        let isTerminal = tcgetattr(0, &settings) == 0
        let shown = settings
        if isTerminal {
            settings.c_lflag &= ~tcflag_t(ECHO)
            tcsetattr(0, TCSANOW, &settings)
        }
        defer {
            if isTerminal {
                var before = shown
                tcsetattr(0, TCSANOW, &before)
                FileHandles.standardError("\n")
            }
        }
        guard let line = readLine(), !line.isEmpty else { throw CommandFailure.badArguments("empty password") }
        return line
    }

    /// A password typed twice, or read once when nobody is there to type.
    static func newPassword(_ name: String, isInteractive: Bool) throws -> String {
        guard isInteractive else { return readLine() ?? "" }
        let first = try password("Password of \(name): ")
        let second = try password("Type password of \(name) again for confirmation: ")
        guard first == second else { throw CommandFailure.badArguments("given passwords are different") }
        return first
    }
}
