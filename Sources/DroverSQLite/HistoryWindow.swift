import Drover

/// Rows of a list at an old revision that wait, in the order of their keys, until those among them whose event is far
/// back are looked for together: what is read for one leads to others too.
struct HistoryWindow {
    private static let firstRows = 64
    private static let mostRows = 4_096
    /// Bytes of the keys that wait.
    private static let mostBytes = 1 << 20

    /// Each row's event, 0 for none, and its key where the event is too new.
    private(set) var rows: [(id: Int64, key: Bytes?)] = []
    private var bytes = 0
    private var mostNow: Int
    private var left: Int

    /// - Parameter expecting: about how many rows will be taken.
    init(expecting: Int) {
        left = max(1, expecting)
        mostNow = min(Self.firstRows, left)
    }

    var isEmpty: Bool { rows.isEmpty }
    var isFull: Bool { rows.count >= mostNow || bytes >= Self.mostBytes }

    mutating func add(_ id: Int64) { rows.append((id, nil)) }

    /// Adds a row whose event was followed back to one that is still too new.
    mutating func add(_ id: Int64, tooNewFor key: UnsafeRawBufferPointer) {
        rows.append((id, Bytes(key)))
        bytes += key.count
    }

    /// The rows were lent.
    mutating func clear() {
        // Whoever takes more than was expected takes much more.
        left = left > rows.count ? left - rows.count : .max
        mostNow = min(min(2 * mostNow, Self.mostRows), left)
        rows.removeAll(keepingCapacity: true)
        bytes = 0
    }
}
