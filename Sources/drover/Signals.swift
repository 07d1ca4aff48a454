#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

// Written once, before the handler is set, and read in it, where only this much is safe.
private nonisolated(unsafe) var signalPipe: Int32 = -1
private nonisolated(unsafe) var signalsReceived: Int32 = 0
private nonisolated(unsafe) var heir: pid_t = 0

private func handleSignal(_ number: Int32) {
    signalsReceived += 1
    if signalsReceived > 1 {
        // A program that runs under a lock must not go on without it.
        if heir > 0 {
            kill(heir, number)
            return
        }
        _exit(128 + number)
    }
    var byte: UInt8 = 1
    _ = write(signalPipe, &byte, 1)
}

/// SIGINT and SIGTERM, the first for a clean end and the second for one at once.
enum Signals {
    private static let readEnd: Int32? = {
        var pipeEnds: [Int32] = [0, 0]
        guard pipe(&pipeEnds) == 0 else { return nil }
        signalPipe = pipeEnds[1]
        for number in [SIGINT, SIGTERM] {
            signal(number, handleSignal)
        }
        return pipeEnds[0]
    }()

    /// Whether a signal has come.
    static var hasCome: Bool { signalsReceived > 0 }

    /// Passes every further signal on to a process, instead of ending with the second; 0 ends that.
    static func passOn(to process: pid_t) { heir = process }

    /// From here on a signal does not end the process but is waited for.
    static func listen() { _ = readEnd }

    /// Returns after the first signal.
    static func waitForTermination() async {
        guard let readEnd else { return }
        await withCheckedContinuation { continuation in
            DetachedThread.start {
                var byte: UInt8 = 0
                while read(readEnd, &byte, 1) < 0 && errno == EINTR {}
                continuation.resume()
            }
        }
    }
}
