import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

/// A watch on a prefix that keeps what it is told.
actor WatchCollector {
    private(set) var events: [PBEvent] = []
    private(set) var arrivals: [Int64: ContinuousClock.Instant] = [:]
    private(set) var ending: String?
    private var isCreated = false
    private let connection: EtcdConnection
    private var task: Task<Void, Never>?

    init(_ server: TestServer, prefix: String, startRevision: Int64 = 0) async throws {
        connection = try await server.connect()
        var request = PBWatchRequest()
        request.createRequest.key = Data(prefix.utf8)
        request.createRequest.rangeEnd = Data(prefix.utf8.dropLast()) + Data([prefix.utf8.last! + 1])
        request.createRequest.startRevision = startRevision
        let call = try await connection.open("/etcdserverpb.Watch/Watch")
        try await call.send(request)
        task = Task { [weak self] in
            do {
                for try await message in call.messages {
                    await self?.take(try PBWatchResponse(serializedBytes: Array(message.readableBytesView)))
                }
            } catch {
                await self?.end("\(error)")
            }
        }
        let deadline = Date().addingTimeInterval(10)
        while !isCreated && Date() < deadline { try await Task.sleep(nanoseconds: 2_000_000) }
        if !isCreated { throw ClientError.unavailable("the watch was not created") }
    }

    private func take(_ response: PBWatchResponse) {
        let now = ContinuousClock.now
        if response.created { isCreated = true }
        if response.canceled { ending = "cancelled: \(response.cancelReason) \(response.compactRevision)" }
        for event in response.events {
            events.append(event)
            arrivals[event.kv.modRevision] = now
        }
    }

    private func end(_ reason: String) { ending = ending ?? reason }

    var revisions: [Int64] { events.map(\.kv.modRevision) }

    /// What is missing, doubled or out of its place in a watch that saw one event in each of these revisions. Later ones
    /// are let pass: a writer that was told to end may have left a call on its way.
    func strays(_ expected: ClosedRange<Int64>) -> [String] {
        var found: [String] = []
        var next = expected.lowerBound
        for event in events {
            let revision = event.kv.modRevision
            if revision < next { found.append("\(revision) again or late, where \(next) was due") }
            if revision > next { found.append("\(next) to \(revision - 1) missing") }
            next = max(next, revision + 1)
        }
        if next <= expected.upperBound { found.append("\(next) to \(expected.upperBound) missing at the end") }
        return found
    }

    /// Waits until so many events have come.
    func wait(for count: Int, seconds: Double = 30) async throws {
        let deadline = Date().addingTimeInterval(seconds)
        while events.count < count {
            if Date() > deadline || ending != nil {
                throw ClientError.unavailable(
                    "\(events.count) of \(count) events came; \(ending ?? "the watch goes on")"
                )
            }
            try await Task.sleep(nanoseconds: 5_000_000)
        }
    }

    /// Waits until a revision has come, which is the last, and checks that none came twice or late.
    func waitInOrder(until last: Int64, seconds: Double = 20) async throws {
        let deadline = Date().addingTimeInterval(seconds)
        while revisions.last ?? 0 < last, Date() < deadline { try await Task.sleep(for: .milliseconds(20)) }
        #expect(revisions.last == last && zip(revisions, revisions.dropFirst()).allSatisfy { $0 < $1 })
    }

    deinit { task?.cancel() }
}
