import DroverClient
import EtcdAPI
import Foundation

/// What a watch has been told.
final class WatchLog: @unchecked Sendable {
    struct Contents: Equatable {
        var events: [PBEvent] = []
        var ending = ""
        var created = false
    }

    let request: PBWatchRequest
    private let lock = NSLock()
    private var contents = Contents()
    private var task: Task<Void, Never>?

    init(_ connection: EtcdConnection, _ request: PBWatchRequest) async throws {
        self.request = request
        let call = try await connection.open("/etcdserverpb.Watch/Watch")
        try await call.send(request)
        task = Task { [self] in
            do {
                for try await message in call.messages {
                    take(try PBWatchResponse(serializedBytes: Array(message.readableBytesView)))
                }
            } catch {
                lock.withLock { contents.ending += "\(error)" }
            }
        }
    }

    private func take(_ response: PBWatchResponse) {
        lock.withLock {
            if response.created { contents.created = true }
            contents.events += response.events
            if response.canceled {
                contents.ending += "cancelled, compacted \(response.compactRevision), \(response.cancelReason)"
            }
        }
    }

    func snapshot() -> Contents { lock.withLock { contents } }

    func waitForCreation() async throws {
        for _ in 0..<500 {
            if snapshot().created || !snapshot().ending.isEmpty { return }
            try await Task.sleep(nanoseconds: 10_000_000)
        }
    }
}
