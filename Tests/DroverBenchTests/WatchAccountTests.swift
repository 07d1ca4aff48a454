import Testing

@testable import DroverBench

@Suite("every event is accounted for", .timeLimit(.minutes(1)))
struct WatchAccountTests {
    /// Tells a sink of events in one response.
    private static func tell(_ sink: WatchSink, _ events: [(key: String, revision: Int64)]) {
        sink.take { batch in
            for event in events {
                var key = event.key
                key.withUTF8 { key in
                    batch.add(UnsafeRawBufferPointer(key), event.revision, UnsafeRawBufferPointer(start: nil, count: 0))
                }
            }
        }
    }

    @Test("twice, out of order, and several keys of one revision")
    func account() {
        let sink = WatchSink()
        Self.tell(sink, [("a", 2), ("a", 3), ("b", 3), ("c", 3)])
        #expect(sink.seen.doubled == 0 && sink.seen.outOfOrder == 0 && sink.seen.events == 4)
        Self.tell(sink, [("b", 3)])
        #expect(sink.seen.doubled == 1)
        Self.tell(sink, [("a", 3)])
        #expect(sink.seen.doubled == 2)
        Self.tell(sink, [("a", 5), ("a", 4)])
        #expect(sink.seen.outOfOrder == 1 && sink.seen.last == 5)
    }

    /// A target whose watches tell what the test says.
    private struct Told: BenchSession {
        let events: [(key: String, revision: Int64)]

        func run(_ lanes: [LaneScript], pace: Pace, recorder: LoadRecorder) async throws {}
        func keepAlive(_ plan: KeepAlivePlan, clients: Int, recorder: LoadRecorder) async throws -> Int { 0 }
        func perform(_ operation: DroverBench.Operation) async throws -> OperationResult { OperationResult() }
        func watch(_ request: WatchPlan, _ sink: WatchSink) async throws -> any BenchWatch {
            WatchAccountTests.tell(sink, events)
            return Ended()
        }
        func close() async {}
    }

    private struct Ended: BenchWatch {
        func end() async {}
    }

    private struct Target: BenchTarget {
        let session: Told
        var name: String { "told" }
        var details: String { "" }
        var isInProcess: Bool { true }
        var isOnServer: Bool { false }
        var process: Int32? { nil }
        func open(connections: Int) async throws -> any BenchSession { session }
    }

    private func settle(_ events: [(String, Int64)], expected: Int, unsure: Int = 0) async throws -> [String: Double] {
        let session = Told(events: events)
        let recorder = LoadRecorder(parts: 1, begin: 0, end: .max)
        let bench = WorkloadBench(
            session: session,
            target: Target(session: session),
            settings: BenchSettings(),
            prefix: "/t/",
            round: 0,
            recorder: recorder,
            begin: {}
        )
        let plan = WatchPlan(key: [1], end: [2])
        let fleet = try await WatchFleet(bench, [plan], isStamped: false, patience: 0.05)
        return await fleet.settle(expected: [expected], unsure: [unsure])
    }

    @Test("too few are lost, too many unexpected, and a write without an answer is neither")
    func fleet() async throws {
        let three: [(String, Int64)] = [("a", 2), ("a", 3), ("a", 4)]
        let exact = try await settle(three, expected: 3)
        #expect(exact["lost"] == 0 && exact["unexpected"] == 0 && exact["events"] == 3)
        #expect(try await settle(three, expected: 5)["lost"] == 2)
        #expect(try await settle(three, expected: 1)["unexpected"] == 2)
        #expect(try await settle(three, expected: 1, unsure: 2)["unexpected"] == 0)
        let doubled = try await settle(three + [("a", 4)], expected: 3)
        #expect(doubled["doubled"] == 1 && doubled["unexpected"] == 0 && doubled["lost"] == 0)
    }
}
