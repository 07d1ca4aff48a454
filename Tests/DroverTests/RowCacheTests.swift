import Testing

@testable import Drover

@Suite("values that are kept", .timeLimit(.minutes(1)))
struct RowCacheTests {
    private func offer(_ cache: RowCache, _ main: Int64, _ value: Bytes, version: Int64 = 1) -> Bool {
        value.withUnsafeBytes { cache.offer(row(main, $0, version)) }
    }

    private func row(_ main: Int64, _ value: UnsafeRawBufferPointer, _ version: Int64 = 1, length: Int? = nil)
        -> RowView
    {
        RowView(
            key: UnsafeRawBufferPointer(start: nil, count: 0),
            value: value,
            valueLength: length ?? value.count,
            main: main,
            sub: 0,
            createRevision: 1,
            version: version,
            lease: 0
        )
    }

    private func value(_ cache: RowCache, _ main: Int64, length: Int, version: Int64 = 1) -> Bytes? {
        cache.value(of: row(main, UnsafeRawBufferPointer(start: nil, count: 0), version, length: length))
    }

    @Test("what is read once is not kept, and what is read twice is")
    func second() {
        let cache = RowCache(bytes: 1 << 20)
        #expect(!offer(cache, 7, [1, 2, 3]))
        #expect(value(cache, 7, length: 3) == nil && cache.bytes == 0)
        #expect(!offer(cache, 7, [1, 2, 3]))
        #expect(value(cache, 7, length: 3) == [1, 2, 3])
        #expect(offer(cache, 7, [1, 2, 3]))
        // Another version, or another length, is another history's.
        #expect(value(cache, 7, length: 3, version: 2) == nil)
        #expect(value(cache, 7, length: 4) == nil)
        #expect(value(cache, 8, length: 3) == nil)
        cache.removeAll()
        #expect(value(cache, 7, length: 3) == nil && cache.bytes == 0)
    }

    @Test("its bytes are bounded, and what is asked for stays")
    func bounded() {
        let limit = 1 << 20
        let cache = RowCache(bytes: limit)
        let long = Bytes(repeating: 1, count: limit / 16)
        for _ in 0..<3 { #expect(!offer(cache, 1, long)) }
        #expect(cache.bytes == 0, "a value of a sixteenth of all is too long")
        let hot = Bytes(repeating: 2, count: 1_000)
        for main in 1...100 as ClosedRange<Int64> { for _ in 0..<2 { _ = offer(cache, main, hot) } }
        for main in 1_000..<20_000 as Range<Int64> {
            for _ in 0..<2 { _ = offer(cache, main, hot) }
            if main % 50 == 0 { for main in 1...100 as ClosedRange<Int64> { _ = value(cache, main, length: 1_000) } }
            if main % 1_000 == 0 { #expect(cache.bytes <= limit) }
        }
        #expect(cache.bytes > limit / 2)
        #expect((1...100).allSatisfy { value(cache, $0, length: 1_000) == hot })
        // A list of very many keys that is read once keeps nothing of itself.
        let before = cache.bytes
        for main in 100_000..<150_000 as Range<Int64> { _ = offer(cache, main, hot) }
        #expect(cache.bytes <= limit && cache.bytes - before < limit / 8)
        #expect((1...100).allSatisfy { value(cache, $0, length: 1_000) == hot })
    }

    @Test("of lists in turn that are longer than it, a part is kept that is as large as it")
    func cycle() {
        let cache = RowCache(bytes: 1 << 20)
        let value = Bytes(repeating: 3, count: 900)
        var kept = 0
        for _ in 0..<30 {
            kept = (1...1_500).reduce(0) { $0 + (offer(cache, Int64($1), value) ? 1 : 0) }
        }
        #expect(kept > 600, "\(kept) of 1,500 rows that take half as much again as there is room for")
        // Others take their place once they are not asked for any more.
        for _ in 0..<10 { kept = (5_001...5_500).reduce(0) { $0 + (offer(cache, Int64($1), value) ? 1 : 0) } }
        #expect(kept > 450, "\(kept) of 500")
    }

    private func event(_ main: Int64, _ value: Bytes, previous: Int64 = 0, version: Int64 = 1) -> ChangeSet.LogEvent {
        ChangeSet.LogEvent(
            key: [1],
            value: value,
            main: main,
            sub: 0,
            createRevision: 1,
            version: version,
            lease: 0,
            previousMain: previous,
            previousSub: 0
        )
    }

    @Test("what is committed is kept while lists read as many rows, and not where nobody lists")
    func committed() {
        let cache = RowCache(bytes: 1 << 20)
        cache.keep([event(2, [1, 2, 3])])
        #expect(cache.bytes == 0)
        cache.note(rows: 3, looked: 0, kept: 0)
        cache.keep([event(3, [1, 2, 3]), event(4, [], version: 0), event(5, [4])])
        #expect(value(cache, 3, length: 3) == [1, 2, 3] && value(cache, 5, length: 1) == [4])
        #expect(value(cache, 4, length: 0) == nil, "a deletion has no value")
        #expect(offer(cache, 3, [1, 2, 3]), "it is there when it is read for the first time")
        cache.keep([event(6, [6])])
        #expect(value(cache, 6, length: 1) == nil, "as many were committed as were read")
        // However much was read, it is not for ever.
        for _ in 0..<1_000 { cache.note(rows: 1_000, looked: 0, kept: 0) }
        for main in 10..<100_000 as Range<Int64> { cache.keep([event(main, [])]) }
        let before = cache.bytes
        cache.keep([event(100_000, [1])])
        #expect(value(cache, 100_000, length: 1) == nil && cache.bytes == before)
        let none = RowCache(bytes: 0)
        none.note(rows: 10, looked: 0, kept: 0)
        none.keep([event(2, [1])])
        #expect(none.bytes == 0)
    }

    @Test("of what is committed the newest stays, and what it took the place of goes")
    func superseded() {
        let limit = 1 << 20
        let cache = RowCache(bytes: limit)
        let long = Bytes(repeating: 7, count: 1_000)
        let quiet = 1...100 as ClosedRange<Int64>
        cache.note(rows: 60_000, looked: 0, kept: 0)
        cache.keep(quiet.map { event($0, long) })
        // Two hundred keys that are written again and again, beside a hundred that are not; all of them are read meanwhile.
        var last: [Int64] = []
        for round in 1...100 as ClosedRange<Int64> {
            let now = (0..<200).map { round * 1_000 + Int64($0) }
            let events = zip(now, last.isEmpty ? now.map { _ in 0 } : last).map { event($0, long, previous: $1) }
            cache.keep(events)
            #expect(last.allSatisfy { value(cache, $0, length: 1_000) == nil })
            last = now
            for main in now + quiet { _ = value(cache, main, length: 1_000) }
        }
        #expect((last + quiet).allSatisfy { value(cache, $0, length: 1_000) == long })
        // Nothing but these, and there is room still.
        #expect(cache.bytes < 400_000 && !cache.isFull)
        // A place that has come to be another event's: what was committed is right, and then what was read.
        cache.keep([event(last[0], [1, 2], version: 7)])
        #expect(value(cache, last[0], length: 1_000) == nil && value(cache, last[0], length: 2, version: 7) == [1, 2])
        for _ in 0..<2 { #expect(!offer(cache, last[0], [3, 4, 5], version: 8)) }
        #expect(value(cache, last[0], length: 3, version: 8) == [3, 4, 5])
        cache.keep([event(999_999, Bytes(repeating: 1, count: limit / 16))])
        #expect(value(cache, 999_999, length: limit / 16) == nil, "a value of a sixteenth of all is too long")
    }

    @Test("of a database in this process rows that come with their values are not copied")
    func embedded() {
        let cache = RowCache(bytes: 1 << 20, isEmbedded: true)
        let long = Bytes(repeating: 5, count: 500)
        func read(_ mains: ClosedRange<Int64>) -> Bool {
            long.withUnsafeBytes { bytes in
                var scan = RowCacheScan(cache)
                for main in mains {
                    if !scan.isApart {
                        scan.came(row(main, bytes))
                    } else if scan.value(of: row(main, UnsafeRawBufferPointer(start: nil, count: 0), length: 500))
                        == nil
                    {
                        scan.missed(row(main, bytes))
                    }
                }
                scan.end()
                return scan.isApart
            }
        }
        for _ in 0..<20 { #expect(!read(1...300)) }
        #expect(cache.bytes == 0)
        // However much one list reads, no more is kept afterwards than that.
        cache.note(rows: 1 << 30, looked: 0, kept: 0)
        cache.keep((1_000_000..<1_100_000).map { event($0, []) })
        cache.removeAll()
        cache.keep([event(2_000_000, [1])])
        #expect(cache.bytes == 0)
        cache.note(rows: 300, looked: 0, kept: 0)
        // Once most of what is read was committed of late, the rest is kept as well.
        cache.keep((1...250).map { event($0, long) })
        for _ in 0..<20 { _ = read(1...300) }
        #expect(read(1...300))
        #expect((1...300).allSatisfy { value(cache, $0, length: 500) == long })
    }

    @Test("nothing is kept where nothing may be")
    func none() {
        let cache = RowCache(bytes: 0)
        for _ in 0..<3 { #expect(!offer(cache, 7, [1])) }
        #expect(value(cache, 7, length: 1) == nil && cache.share < 500)
    }

    @Test("it is worthwhile while most rows of ranges are kept")
    func share() {
        let cache = RowCache(bytes: 1 << 20)
        #expect(cache.share < 500)
        for _ in 0..<3 { cache.note(rows: 100, looked: 100, kept: 100) }
        #expect(cache.share >= 500)
        let before = cache.share
        cache.note(rows: 100, looked: 3, kept: 0)
        #expect(cache.share < before && cache.share > before - 20, "few looks say little")
        for _ in 0..<6 { cache.note(rows: 500, looked: 31, kept: 0) }
        #expect(cache.share < 500)
        // Short lists are known by many of them.
        for _ in 0..<200 { cache.note(rows: 20, looked: 2, kept: 2) }
        #expect(cache.share >= 500)
    }

    @Test(
        "once it is full, a range that it does not know is hardly looked at, and one that is read over and over is kept"
    )
    func sample() {
        let cache = RowCache(bytes: 1 << 20)
        let value = Bytes(repeating: 3, count: 900)
        func read(_ mains: ClosedRange<Int64>) -> Bool {
            value.withUnsafeBytes { bytes in
                var scan = RowCacheScan(cache)
                for main in mains {
                    let whole = row(main, bytes)
                    if !scan.isApart {
                        scan.came(whole)
                    } else if scan.value(of: row(main, UnsafeRawBufferPointer(start: nil, count: 0), length: 900))
                        == nil
                    {
                        scan.missed(whole)
                    }
                }
                scan.end()
                return scan.isApart
            }
        }
        for first in stride(from: 1, to: 20_000, by: 500) as StrideTo<Int64> {
            for _ in 0..<2 { #expect(!read(first...first + 499)) }
        }
        #expect(cache.isFull && cache.totals.kept < 2_000, "\(cache.totals)")
        var rounds = 0
        while !read(30_001...30_500) && rounds < 1_000 { rounds += 1 }
        #expect(rounds < 400, "it took \(rounds) rounds")
        for _ in 0..<200 { _ = read(30_001...30_500) }
        let before = cache.totals
        for _ in 0..<10 { #expect(read(30_001...30_500)) }
        #expect(cache.totals.kept - before.kept > 4_500, "of 5,000 rows")
    }

    @Test("readers and writers of it do not disturb each other")
    func threads() async {
        let cache = RowCache(bytes: 256 << 10)
        let wrong = await withTaskGroup(of: Int.self) { group in
            for task in 0..<4 {
                group.addTask {
                    var wrong = 0
                    for round in 0..<20_000 {
                        let main = Int64((round * 31 + task * 7) % 1_000)
                        let expected = Bytes(repeating: UInt8(truncatingIfNeeded: main), count: 500)
                        _ = offer(cache, main, expected)
                        if let found = value(cache, main, length: 500), found != expected { wrong += 1 }
                        if round % 5_000 == 0 { cache.removeAll() }
                    }
                    return wrong
                }
            }
            return await group.reduce(0, +)
        }
        #expect(wrong == 0 && cache.bytes <= 256 << 10)
    }
}
