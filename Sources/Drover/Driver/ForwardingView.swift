/// A reader or writer whose reading is done by a view of its present connection.
public protocol ForwardingView: DriverView {
    /// The view to read through.
    ///
    /// - Throws: ``DriverFailure`` when there is none: the connection was lost, and a new one would show another state.
    func readingView() throws -> any DriverView
}

extension ForwardingView {
    public func stayActive() throws { try readingView().stayActive() }

    public func scan(
        _ range: KeyRange,
        at revision: Int64?,
        values: Bool,
        expecting: Int,
        _ body: (RowView) throws -> Bool
    ) throws {
        try readingView().scan(range, at: revision, values: values, expecting: expecting, body)
    }

    public func count(_ range: KeyRange, at revision: Int64?) throws -> Int64 {
        try readingView().count(range, at: revision)
    }

    public func key(in range: KeyRange, after count: Int) throws -> Bytes? {
        try readingView().key(in: range, after: count)
    }

    public func event(main: Int64, sub: Int64, _ body: (RowView) throws -> Void) throws -> Bool {
        try readingView().event(main: main, sub: sub, body)
    }

    public func events(_ positions: [LogPosition], _ body: (Int, RowView) throws -> Void) throws {
        try readingView().events(positions, body)
    }

    public func log(from main: Int64, values: Bool, _ body: (RowView) throws -> Bool) throws {
        try readingView().log(from: main, values: values, body)
    }

    public func state(of key: Bytes) throws -> KeyState? { try readingView().state(of: key) }

    public func states(of keys: [Bytes]) throws -> [KeyState?] { try readingView().states(of: keys) }

    public func lease(_ id: Int64) throws -> LeaseState? { try readingView().lease(id) }

    public func systemState() throws -> Bytes { try readingView().systemState() }

    public func keys(attachedTo lease: Int64) throws -> [Bytes] { try readingView().keys(attachedTo: lease) }

    public func keys(attachedTo leases: [Int64], limit: Int) throws -> [[Bytes]] {
        try readingView().keys(attachedTo: leases, limit: limit)
    }
}
