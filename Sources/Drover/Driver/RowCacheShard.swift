/// A part of a ``RowCache``: rows by their place, in the order in which a hand comes by when room is needed.
struct RowCacheShard {
    private struct Slot {
        var place: LogPosition
        var hash: Int
        var version: Int64
        var value: Bytes
        var size: Int
        /// How often it was asked for since the hand came by, as far as that counts.
        var uses = 1
    }

    /// What the hand goes by for a committed row at the most.
    private static let mostSteps = 64
    /// As often as the hand comes by in vain at what is not asked for any more.
    private static let mostUses = 3
    private static let none: Int32 = -1

    private var slots: [Slot] = []
    /// The slot of each row, at the first free cell from where its hash leads: a page looks for each of its rows, and a
    /// dictionary takes half of that time to hash a place.
    private var cells: [Int32] = .init(repeating: none, count: 16)
    /// The slot that is looked at next when room is needed.
    private var hand = 0
    private(set) var bytes = 0

    mutating func value(at place: LogPosition, _ hash: Int, _ version: Int64) -> Bytes? {
        guard let slot = slot(place, hash), slots[slot].version == version else { return nil }
        use(slot)
        return slots[slot].value
    }

    /// Forgets a row.
    mutating func remove(_ place: LogPosition, _ hash: Int) {
        if let slot = slot(place, hash) { remove(slot) }
    }

    /// Keeps a row that was committed, in place of others that are not in use much if need be.
    mutating func keep(_ place: LogPosition, _ hash: Int, _ event: ChangeSet.LogEvent, size: Int, limit: Int) {
        // A reader was here first; or what is there is of another history, and what was committed is right.
        if let slot = slot(place, hash) { remove(slot) }
        var steps = 0
        while bytes + size > limit && !slots.isEmpty && steps < Self.mostSteps {
            if !makeRoom() { steps += 1 }
        }
        if bytes + size > limit { return }
        append(Slot(place: place, hash: hash, version: event.version, value: event.value, size: size))
    }

    /// Keeps a row that was read. Returns whether it was there.
    mutating func offer(_ place: LogPosition, _ hash: Int, _ row: RowView, size: Int, limit: Int) -> Bool {
        if let slot = slot(place, hash) {
            if slots[slot].version == row.version && slots[slot].value.count == row.value.count {
                use(slot)
                return true
            }
            remove(slot)
        }
        // Where all of it is in use it stays as it is: one that is turned away comes again, and many that come in
        // turn would else drive each other out.
        while bytes + size > limit && !slots.isEmpty { if !makeRoom() { return false } }
        append(Slot(place: place, hash: hash, version: row.version, value: Bytes(row.value), size: size))
        return false
    }

    private mutating func use(_ slot: Int) {
        if slots[slot].uses < Self.mostUses { slots[slot].uses += 1 }
    }

    private mutating func append(_ slot: Slot) {
        slots.append(slot)
        bytes += slot.size
        if slots.count * 2 <= cells.count {
            cells[freeCell(slot.hash)] = Int32(slots.count - 1)
            return
        }
        cells = .init(repeating: Self.none, count: cells.count * 2)
        for (number, slot) in slots.enumerated() { cells[freeCell(slot.hash)] = Int32(number) }
    }

    /// Takes away what the hand is at, unless that was asked for since it last came by.
    private mutating func makeRoom() -> Bool {
        if hand >= slots.count { hand = 0 }
        if slots[hand].uses > 0 {
            slots[hand].uses -= 1
            hand += 1
            return false
        }
        // The last takes its place, and is looked at when the hand comes round again.
        remove(hand)
        hand += 1
        return true
    }

    private mutating func remove(_ slot: Int) {
        bytes -= slots[slot].size
        vacate(cell(of: slot))
        let last = slots.count - 1
        if slot < last {
            cells[cell(of: last)] = Int32(slot)
            slots.swapAt(slot, last)
        }
        slots.removeLast()
    }

    // MARK: - Cells

    /// Where a hash leads; its lowest bits have chosen the shard.
    private func home(_ hash: Int) -> Int { hash >> 8 & (cells.count - 1) }

    private func following(_ cell: Int) -> Int { (cell + 1) & (cells.count - 1) }

    private func slot(_ place: LogPosition, _ hash: Int) -> Int? {
        var cell = home(hash)
        while cells[cell] != Self.none {
            let slot = Int(cells[cell])
            if slots[slot].place == place { return slot }
            cell = following(cell)
        }
        return nil
    }

    private func freeCell(_ hash: Int) -> Int {
        var cell = home(hash)
        while cells[cell] != Self.none { cell = following(cell) }
        return cell
    }

    private func cell(of slot: Int) -> Int {
        var cell = home(slots[slot].hash)
        while cells[cell] != Int32(slot) { cell = following(cell) }
        return cell
    }

    /// Empties a cell, and moves those behind it up that would not be found any more.
    private mutating func vacate(_ cell: Int) {
        var free = cell
        var next = following(cell)
        while cells[next] != Self.none {
            let from = home(slots[Int(cells[next])].hash)
            // Whether the way from `from` to `next` leads over the free cell.
            if (next - from) & (cells.count - 1) >= (next - free) & (cells.count - 1) {
                cells[free] = cells[next]
                free = next
            }
            next = following(next)
        }
        cells[free] = Self.none
    }
}
