import DequeModule
import NIOCore

/// A connection that lists leave by.
protocol ListConnection: AnyObject {
    /// Bytes of replies that the client has not taken.
    var queuedBytes: Int { get }
    /// Calls that are on their way.
    var callCount: Int { get }
    /// Lists that wait for room.
    var waitingLists: Deque<RangeStreamer> { get set }
    /// Lists whose first piece is being read.
    var listsReading: Int { get set }
    /// Whether it waits for its turn.
    var hasListTurn: Bool { get set }
}

/// Lets lists begin as clients take them: what is read faster than it is taken would only fill memory. One for each event
/// loop, used on it alone.
///
/// What clients do not take, since they have stopped reading or read slowly, keeps nobody else waiting for longer than two
/// looks at it: it is not counted any more but on their own connections.
struct ListGate {
    /// What a list is taken for until its first piece is there.
    private static let expectedBytes = 512 << 10
    /// How often it is looked at what is taken while a list waits.
    static let looks = TimeAmount.milliseconds(20)
    /// The part of what may be on its way that clients who read take at least between two looks.
    private static let taken = 64

    private let limits: ServerLimits
    /// Replies of all connections that have not been taken yet.
    private var queuedBytes = 0
    /// Those of them that seem to be stuck.
    private var stuckBytes = 0
    /// What was taken since the last look.
    private var takenBytes = 0
    /// Lists whose first piece is being read.
    private var reading = 0
    /// Connections with lists that wait, in turn.
    private var turns: Deque<any ListConnection> = []

    private var waiting = 0

    /// Whether any list is waiting.
    var hasWaiting: Bool { waiting > 0 }

    init(_ limits: ServerLimits) {
        self.limits = limits
    }

    mutating func queuedBytesChanged(by difference: Int) {
        queuedBytes += difference
        if difference < 0 {
            takenBytes -= difference
            stuckBytes = min(stuckBytes, queuedBytes)
        }
    }

    /// Where little was taken meanwhile, those who wait need not go on waiting for it.
    mutating func look() {
        if takenBytes < limits.listsPerLoopBytes / Self.taken { stuckBytes = queuedBytes }
        takenBytes = 0
    }

    private var hasRoom: Bool {
        queuedBytes - stuckBytes + reading * Self.expectedBytes < limits.listsPerLoopBytes
    }

    private func admits(_ connection: any ListConnection) -> Bool {
        let own = connection.queuedBytes + connection.listsReading * Self.expectedBytes
        return own < limits.connectionListBytes && hasRoom
    }

    /// Whether the list may begin now; it is kept and begun later if not.
    mutating func begin(_ list: RangeStreamer, _ connection: any ListConnection) -> Bool {
        if connection.waitingLists.isEmpty && admits(connection) {
            count(connection, 1)
            return true
        }
        connection.waitingLists.append(list)
        waiting += 1
        // Those whose client has gone on without them wait for nothing.
        if connection.waitingLists.count > 2 * connection.callCount + 64 {
            let before = connection.waitingLists.count
            connection.waitingLists.removeAll { $0.isOver }
            waiting -= before - connection.waitingLists.count
        }
        takeTurn(connection)
        return false
    }

    /// The connection is gone, and with it what waited on it.
    mutating func forget(_ connection: any ListConnection) {
        waiting -= connection.waitingLists.count
        connection.waitingLists = []
    }

    /// The list's first piece is there, or will never be.
    mutating func hasRead(_ connection: any ListConnection) { count(connection, -1) }

    private mutating func count(_ connection: any ListConnection, _ difference: Int) {
        reading += difference
        connection.listsReading += difference
    }

    private mutating func takeTurn(_ connection: any ListConnection) {
        if connection.hasListTurn { return }
        connection.hasListTurn = true
        turns.append(connection)
    }

    /// The list that may begin now: of the connections that have one waiting, in turn.
    ///
    /// - Parameter connection: one that has sent something or read a piece.
    mutating func next(_ connection: (any ListConnection)?) -> RangeStreamer? {
        if let connection, !connection.waitingLists.isEmpty { takeTurn(connection) }
        while hasRoom, let other = turns.popFirst() {
            other.hasListTurn = false
            // One that has enough on its way comes back when it has sent it.
            if let list = take(other) {
                if !other.waitingLists.isEmpty { takeTurn(other) }
                return list
            }
        }
        return nil
    }

    private mutating func take(_ connection: any ListConnection) -> RangeStreamer? {
        guard !connection.waitingLists.isEmpty, admits(connection) else { return nil }
        count(connection, 1)
        waiting -= 1
        return connection.waitingLists.removeFirst()
    }
}
