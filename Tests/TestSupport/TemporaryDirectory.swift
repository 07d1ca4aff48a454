import Foundation

/// Runs `body` with a directory of its own, removed afterwards.
public func withTemporaryDirectory<R>(_ body: (String) async throws -> R) async throws -> R {
    let path = NSTemporaryDirectory() + "/drover-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    Reaper.made(path)
    defer {
        try? FileManager.default.removeItem(atPath: path)
        Reaper.gone(path)
    }
    return try await body(path)
}
