import Testing

@testable import Drover

@Suite("how far a sweep is", .timeLimit(.minutes(1)))
struct SweepCursorTests {
    private func meta(compacted: Int64, swept: Int64) -> StoreMeta {
        StoreMeta(revision: 100, batch: 0, compacted: compacted, swept: swept, clusterID: 1, memberID: 1)
    }

    @Test("it begins at what was swept, goes on from the last row, and goes back to a mark that has moved on")
    func places() {
        var cursor = SweepCursor()
        #expect(cursor.next(meta(compacted: 50, swept: 10)) == LogPosition(main: 10, sub: -1))
        #expect(cursor.advance(to: LogPosition(main: 30, sub: 2)) == 29)
        #expect(cursor.next(meta(compacted: 50, swept: 10)) == LogPosition(main: 30, sub: 2))
        // Before the old mark nothing was spared.
        #expect(cursor.next(meta(compacted: 60, swept: 10)) == LogPosition(main: 30, sub: 2))
        #expect(cursor.advance(to: LogPosition(main: 60, sub: 4)) == nil)
        // A deletion at 60 was.
        #expect(cursor.next(meta(compacted: 80, swept: 10)) == LogPosition(main: 60, sub: -1))
        cursor.end()
        #expect(cursor.next(meta(compacted: 90, swept: 80)) == LogPosition(main: 80, sub: -1))
    }

    @Test("what another instance has swept meanwhile is not gone through again")
    func others() {
        var cursor = SweepCursor()
        _ = cursor.next(meta(compacted: 50, swept: 10))
        _ = cursor.advance(to: LogPosition(main: 30, sub: 2))
        #expect(cursor.next(meta(compacted: 70, swept: 50)) == LogPosition(main: 50, sub: -1))
        #expect(cursor.advance(to: LogPosition(main: 60, sub: 0)) == 59)
    }
}
