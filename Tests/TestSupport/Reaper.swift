import Foundation

/// A process that outlives this one for a moment: what the tests have started and made is ended and taken away when they
/// end before their time, by a signal or a trap, after which nothing of theirs runs any more.
enum Reaper {
    private static let program = """
        $1 == "start" { running[$2] = 1 }
        $1 == "end" { delete running[$2] }
        $1 == "made" { made[substr($0, 6)] = 1 }
        $1 == "gone" { delete made[substr($0, 6)] }
        END {
            for (id in running) system("kill -9 -- -" id " " id " 2>/dev/null")
            for (path in made) system("rm -rf \\"" path "\\"")
        }
        """

    /// Where it is told of what it is to know; nil where there is no awk.
    private static let told: FileHandle? = {
        guard let awk = find("awk") else { return nil }
        let pipe = Pipe()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: awk)
        process.arguments = [program]
        process.standardInput = pipe.fileHandleForReading
        // Held by no other program that is started: its end is this process's.
        _ = fcntl(pipe.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
        guard (try? process.run()) != nil else { return nil }
        try? pipe.fileHandleForReading.close()
        return pipe.fileHandleForWriting
    }()

    static func started(_ id: Int32) { tell("start \(id)") }

    static func ended(_ id: Int32) { tell("end \(id)") }

    static func made(_ path: String) { tell("made \(path)") }

    static func gone(_ path: String) { tell("gone \(path)") }

    /// A line is short enough to be written at once.
    private static func tell(_ line: String) {
        guard let told else { return }
        let bytes = Array("\(line)\n".utf8)
        _ = write(told.fileDescriptor, bytes, bytes.count)
    }
}
