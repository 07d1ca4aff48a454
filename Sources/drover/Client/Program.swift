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
        wait(try start(command, environment: environment))
    }

    /// Starts a command with more in its environment.
    ///
    /// - Returns: its process, which must be waited for.
    /// - Throws: ``CommandFailure`` when there is no such program.
    static func start(_ command: [String], environment: [String: String]) throws -> pid_t {
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
        // This program ignores it, since its sockets must not end it; others live by it.
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        #if canImport(Darwin)
            var attributes: posix_spawnattr_t?
        #else
            var attributes = posix_spawnattr_t()
        #endif
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        // Nor has it to do with the signals that threads of this one leave to others.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        // Nor is what this one reads its own: the next lines of `watch -i`, or a script's list. Source: Go, `os/exec`.
        #if canImport(Darwin)
            var files: posix_spawn_file_actions_t?
        #else
            var files = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
        guard posix_spawnp(&process, command[0], &files, &attributes, arguments, variables) == 0 else {
            throw CommandFailure.failed("the command cannot be run: it is not there, or not a program")
        }
        return process
    }

    /// Waits, blocking, until a process has ended.
    ///
    /// - Returns: its exit status; 128 and the signal's number if one ended it.
    static func wait(_ process: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }
}
