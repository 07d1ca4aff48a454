import Synchronization

/// Between (main, sub) and the log's row id.
///
/// A row id is `main << 20 | sub`: a plain integer key, appended in order. A revision of more than 2^20 events takes
/// the slots of the following numbers too, and every later revision moves up by as many; `drover_wide` holds one row
/// for each such revision, and there is hardly ever one.
final class RevisionMap: Sendable {
    static let slotBits: Int64 = 20

    struct Wide: Sendable {
        /// The revision with more events than a slot holds.
        var main: Int64
        /// The slots it takes beyond its first.
        var extra: Int64
        /// The slots that earlier revisions took beyond their first.
        var shift: Int64
    }

    private let isPlain = Atomic<Bool>(true)
    private let wide = Mutex<[Wide]>([])

    func load(_ rows: [(main: Int64, extra: Int64)]) {
        wide.withLock { wide in
            wide = []
            var shift: Int64 = 0
            for row in rows {
                wide.append(Wide(main: row.main, extra: row.extra, shift: shift))
                shift += row.extra
            }
            isPlain.store(wide.isEmpty, ordering: .releasing)
        }
    }

    /// The slots that `count` events take beyond the first.
    static func extraSlots(events count: Int) -> Int64 {
        Int64(max(0, count - 1)) >> slotBits
    }

    func add(main: Int64, extra: Int64) {
        wide.withLock { wide in
            let shift = wide.last.map { $0.shift + $0.extra } ?? 0
            wide.append(Wide(main: main, extra: extra, shift: shift))
            isPlain.store(false, ordering: .releasing)
        }
    }

    /// Takes back what ``add(main:extra:)`` added for revisions above `main`, when their batch failed.
    func remove(above main: Int64) {
        if isPlain.load(ordering: .acquiring) { return }
        wide.withLock { wide in
            while let last = wide.last, last.main > main { wide.removeLast() }
            isPlain.store(wide.isEmpty, ordering: .releasing)
        }
    }

    @inline(__always)
    func id(_ main: Int64, _ sub: Int64) -> Int64 {
        if isPlain.load(ordering: .acquiring) { return main << Self.slotBits + sub }
        return shiftedID(main, sub)
    }

    private func shiftedID(_ main: Int64, _ sub: Int64) -> Int64 {
        wide.withLock { wide in
            var shift: Int64 = 0
            for entry in wide.reversed() where entry.main < main {
                shift = entry.shift + entry.extra
                break
            }
            return (main + shift) << Self.slotBits + sub
        }
    }

    @inline(__always)
    func position(_ id: Int64) -> (main: Int64, sub: Int64) {
        if isPlain.load(ordering: .acquiring) {
            return (id >> Self.slotBits, id & (1 << Self.slotBits - 1))
        }
        return shiftedPosition(id)
    }

    private func shiftedPosition(_ id: Int64) -> (main: Int64, sub: Int64) {
        let slot = id >> Self.slotBits
        return wide.withLock { wide in
            for entry in wide.reversed() {
                let first = entry.main + entry.shift
                if slot < first { continue }
                if slot <= first + entry.extra { return (entry.main, id - first << Self.slotBits) }
                return (slot - entry.shift - entry.extra, id & (1 << Self.slotBits - 1))
            }
            return (slot, id & (1 << Self.slotBits - 1))
        }
    }
}
