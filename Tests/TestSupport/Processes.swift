import Foundation
import Synchronization

/// A setting of the environment.
public func environment(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }

/// What ``freePort()`` has given out, and may not be bound yet.
private let givenPorts = Mutex<Set<Int>>([])

/// A port nobody listens on at this moment, and none that was given out before.
public func freePort() -> Int {
    for _ in 0..<100 {
        let port = unboundPort()
        if givenPorts.withLock({ $0.insert(port).inserted }) { return port }
    }
    return unboundPort()
}

private func unboundPort() -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            _ = bind(descriptor, generic, length)
            _ = getsockname(descriptor, generic, &length)
        }
    }
    return Int(UInt16(bigEndian: address.sin_port))
}

/// A program that runs beside the tests.
public final class ChildProcess: @unchecked Sendable {
    private let process = Process()
    private let logPath: String

    /// Starts a program whose output goes to `log`.
    public init(_ path: String, _ arguments: [String], environment: [String: String] = [:], log: String) throws {
        logPath = log
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        let handle = FileHandle(forWritingAtPath: log)!
        handle.seekToEndOfFile()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = handle
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        process.terminationHandler = { Reaper.ended($0.processIdentifier) }
        try process.run()
        Reaper.started(process.processIdentifier)
        // It may have ended before it was told of.
        if !process.isRunning { Reaper.ended(process.processIdentifier) }
    }

    public var identifier: Int32 { process.processIdentifier }
    public var isRunning: Bool { process.isRunning }
    public var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    /// Resident memory in bytes, now and at its peak.
    public var residentBytes: Int { statusField("VmRSS") }
    public var peakResidentBytes: Int { statusField("VmHWM") }

    private func statusField(_ name: String) -> Int {
        let status = (try? String(contentsOfFile: "/proc/\(identifier)/status", encoding: .utf8)) ?? ""
        for line in status.split(separator: "\n") where line.hasPrefix(name + ":") {
            let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            return fields.count > 1 ? (Int(fields[1]) ?? 0) * 1_024 : 0
        }
        return 0
    }

    /// Sends a signal.
    public func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits for its end and returns its status.
    @discardableResult
    public func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Ends it: politely, then not.
    public func stop() {
        guard process.isRunning else { return }
        process.terminate()
        let deadline = Date().addingTimeInterval(10)
        while process.isRunning && Date() < deadline { usleep(10_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
}

/// Resident memory of this process in bytes.
public func residentBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 4_096 } ?? 0
}

/// Runs a program to its end, or for so many seconds, and returns its status and output.
public func run(
    _ path: String,
    _ arguments: [String],
    environment: [String: String] = [:],
    input: String? = nil,
    directory workingDirectory: String? = nil,
    timeout: Double? = nil
) throws -> (status: Int32, output: String, error: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    if let workingDirectory { process.currentDirectoryURL = URL(fileURLWithPath: workingDirectory) }
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let directory = NSTemporaryDirectory() + "/drover-run-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    func handle(_ name: String, _ contents: String = "") -> FileHandle {
        let path = "\(directory)/\(name)"
        _ = FileManager.default.createFile(atPath: path, contents: Data(contents.utf8))
        return name == "in" ? FileHandle(forReadingAtPath: path)! : FileHandle(forWritingAtPath: path)!
    }
    process.standardInput = handle("in", input ?? "")
    process.standardOutput = handle("out")
    process.standardError = handle("err")
    try process.run()
    if let timeout {
        let deadline = Date().addingTimeInterval(timeout)
        while process.isRunning && Date() < deadline { usleep(20_000) }
        if process.isRunning { process.terminate() }
    }
    process.waitUntilExit()
    func text(_ name: String) -> String { (try? String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)) ?? "" }
    return (process.terminationStatus, text("out"), text("err"))
}

/// Where a program lies, by PATH.
public func find(_ program: String) -> String? {
    let directories: [Substring] = (environment("PATH") ?? "").split(separator: ":") as [Substring]
    for directory in directories + ["/usr/sbin", "/usr/local/bin"] as [Substring] {
        let path = "\(directory)/\(program)"
        if access(path, X_OK) == 0 { return path }
    }
    return nil
}

/// The executable built beside these tests.
public func droverExecutable() -> String {
    if let path = environment("DROVER_EXECUTABLE") { return path }
    // The tests run from a bundle or runner in the build directory.
    var directory = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    for _ in 0..<6 {
        let path = directory.appendingPathComponent("drover").path
        if access(path, X_OK) == 0 { return path }
        directory.deleteLastPathComponent()
    }
    for configuration in ["debug", "release"] {
        let path = FileManager.default.currentDirectoryPath + "/.build/\(configuration)/drover"
        if access(path, X_OK) == 0 { return path }
    }
    fatalError("the drover executable was not found; set DROVER_EXECUTABLE")
}
