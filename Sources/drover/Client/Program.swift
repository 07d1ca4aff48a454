#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Another program, run while the client waits.
enum Program {
    /// Runs a command with more in its environment.
    ///
    /// - Returns: its exit status; 128 and the signal's number if one ended it.
    /// - Throws: ``CommandFailure`` when there is no such program.
    static func run(_ command: [String], environment: [String: String]) throws -> Int32 {
        var variables: [UnsafeMutablePointer<CChar>?] = []
        var next = environ
        while let variable = next.pointee {
            let name = String(cString: variable).prefix { $0 != "=" }
            if environment[String(name)] == nil { variables.append(strdup(variable)) }
            next += 1
        }
        for (name, value) in environment { variables.append(strdup("\(name)=\(value)")) }
        var arguments = command.map { strdup($0) }
        defer { for text in variables + arguments { free(text) } }
        variables.append(nil)
        arguments.append(nil)
        var process = pid_t()
        guard posix_spawnp(&process, command[0], nil, nil, arguments, variables) == 0 else {
            throw CommandFailure.failed("the command cannot be run: it is not there, or not a program")
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }
}
