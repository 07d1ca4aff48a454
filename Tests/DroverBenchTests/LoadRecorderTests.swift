import Testing

@testable import DroverBench

@Suite("what a load measures", .timeLimit(.minutes(1)))
struct LoadRecorderTests {
    private let second: UInt64 = 1_000_000_000

    @Test("a call counts by when it began, whenever it ended")
    func window() {
        let recorder = LoadRecorder(parts: 2, begin: 10 * second, end: 20 * second)
        recorder.record(.put, lane: 0, began: 9 * second, ended: 11 * second)
        recorder.record(.put, lane: 0, began: 10 * second, ended: 11 * second)
        recorder.record(.put, lane: 1, began: 19 * second, ended: 45 * second)
        recorder.record(.put, lane: 1, began: 20 * second, ended: 21 * second)
        let series = recorder.total().series[OperationKind.put.rawValue]
        #expect(series?.times.totalCount == 2)
        // What was left unanswered until long behind the end is the worst of all, and in the last part of the time.
        #expect(series?.slots.last?.worst == 26 * second)
        #expect(recorder.made.load(ordering: .relaxed) == 2)
    }

    @Test("errors of the warm-up and of the time count, later ones do not")
    func errors() {
        let recorder = LoadRecorder(parts: 1, begin: 10, end: 20)
        recorder.fail("refused", lane: 0, began: 5)
        recorder.fail("refused", lane: 3, began: 19)
        recorder.fail("refused", lane: 0, began: 20)
        for number in 0..<30 { recorder.fail("\(number)", lane: 0, began: 15) }
        let errors = recorder.total().errors
        #expect(errors["refused"] == 2)
        #expect(errors.values.reduce(0, +) == 32 && errors["further errors"] == 11)
    }

    @Test("calls that were due and not made are counted")
    func left() {
        var schedule = Schedule(callsPerSecond: 100, lane: 1, lanes: 2, start: 0)
        // Due at 10, 30, 50 ms and so on.
        #expect(schedule.next() == 10_000_000 && schedule.next() == 30_000_000)
        #expect(schedule.left(until: 50_000_000) == 0)
        #expect(schedule.left(until: 50_000_001) == 1)
        #expect(schedule.left(until: second) == 48)
        let recorder = LoadRecorder(parts: 1, begin: 0, end: second)
        recorder.leave(schedule, lane: 0)
        #expect(recorder.total().errors.values.first == 48)
    }

    @Test("an answer that lacks keys is none")
    func complete() {
        func answer(keys: Int, count: Int64 = 0) -> OperationResult {
            var result = OperationResult()
            (result.keys, result.count) = (keys, count)
            return result
        }
        let script = ClosureScript(finding: 500) { _ in nil }
        let list = Operation.list(key: [], end: [], limit: 500, revision: 0)
        #expect(script.isComplete(list, answer(keys: 500)) && !script.isComplete(list, answer(keys: 499)))
        let count = Operation.count(key: [], end: [])
        #expect(script.isComplete(count, answer(keys: 0, count: 500)) && !script.isComplete(count, answer(keys: 0)))
        #expect(script.isComplete(.put(key: [], value: [], lease: 0), answer(keys: 0)))
        #expect(!ClosureScript(finding: 1) { _ in nil }.isComplete(.get(key: []), answer(keys: 0)))
    }

    @Test("a target that is behind its rate is told by what it answers, not by what it owes", arguments: [0, 50, 200])
    func overload(warmUp: UInt64) {
        // Two calls are due each moment and one is answered: after a warm-up it answers what was due before the round.
        let recorder = LoadRecorder(parts: 1, isOpenLoop: true)
        let (begin, end) = (warmUp, warmUp + 100)
        recorder.open(from: begin, to: end)
        for answered in 0..<(warmUp + 300) as Range<UInt64> {
            recorder.record(.put, lane: 0, began: answered / 2, ended: answered)
        }
        let series = recorder.total().series[OperationKind.put.rawValue]
        #expect(series?.calls == 101, "\(series?.calls ?? 0) of a moment each")
        // Its times are those of the calls that were due in the round.
        #expect(series?.times.max ?? 0 >= warmUp)
    }

    @Test("events: each by when its put began, and how many were told in time")
    func events() {
        let recorder = LoadRecorder(parts: 1, begin: 100, end: 200)
        recorder.told([90, 150, 0], events: 3, lane: 0, at: 160)
        recorder.told([199, 180], events: 2, lane: 0, at: 300)
        #expect(recorder.told.load(ordering: .relaxed) == 3)
        let series = recorder.total().series[OperationKind.delivery.rawValue]
        #expect(series?.times.totalCount == 3)
        // What came behind the end was not delivered at the round's rate.
        #expect(series?.calls == 1)
        #expect(series?.times.max == 120)
    }
}
