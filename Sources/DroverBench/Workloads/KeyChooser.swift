/// Which key is next.
struct KeyChooser: Sendable {
    private let order: KeyOrder
    private let count: Int
    private var position: Int

    init(_ order: KeyOrder, count: Int, lane: Int, lanes: Int) {
        self.order = order
        self.count = max(1, count)
        position = self.count * lane / max(1, lanes)
    }

    mutating func next(_ random: inout FastRandom) -> Int {
        switch order {
        case .random: return random.next(below: count)
        case .zipf: return random.zipf(count)
        case .sequential:
            position += 1
            return position % count
        }
    }
}
