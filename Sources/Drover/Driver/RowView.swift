/// A row as it lies in the driver's memory, valid only inside the closure that is given it.
///
/// Rows go from the database's buffer to the socket's in one copy; this is why they are lent, not handed over.
public struct RowView {
    /// The key.
    public var key: UnsafeRawBufferPointer
    /// The value; empty when values were not asked for.
    public var value: UnsafeRawBufferPointer
    /// The length of the value in bytes, also when it was not asked for.
    public var valueLength: Int
    /// The revision of the event.
    public var main: Int64
    /// Its place within the revision.
    public var sub: Int64
    /// The revision at which the key was created.
    public var createRevision: Int64
    /// The number of changes since creation; 0 of a deletion.
    public var version: Int64
    /// The lease it is attached to; 0 is none.
    public var lease: Int64
    /// The place of the key's previous event; `main` is 0 when there is none. Set in rows of the log alone.
    public var previousMain: Int64
    /// See ``previousMain``.
    public var previousSub: Int64

    /// A row from its parts.
    @inlinable
    public init(
        key: UnsafeRawBufferPointer,
        value: UnsafeRawBufferPointer,
        valueLength: Int,
        main: Int64,
        sub: Int64,
        createRevision: Int64,
        version: Int64,
        lease: Int64,
        previousMain: Int64 = 0,
        previousSub: Int64 = 0
    ) {
        self.key = key
        self.value = value
        self.valueLength = valueLength
        self.main = main
        self.sub = sub
        self.createRevision = createRevision
        self.version = version
        self.lease = lease
        self.previousMain = previousMain
        self.previousSub = previousSub
    }

    /// Lends the row with a value that came from elsewhere.
    @inlinable
    public func lending<R>(_ value: Bytes, to body: (RowView) throws -> R) rethrows -> R {
        try value.withUnsafeBytes { value in
            var row = self
            row.value = value
            return try body(row)
        }
    }

    /// A copy that outlives the closure.
    public func keyValue() -> KeyValue {
        KeyValue(
            key: Bytes(key),
            value: Bytes(value),
            createRevision: createRevision,
            modRevision: main,
            version: version,
            lease: lease
        )
    }

    /// A copy of a row of the log that outlives the closure.
    func event() -> ChangeSet.LogEvent {
        ChangeSet.LogEvent(
            key: Bytes(key),
            value: Bytes(value),
            main: main,
            sub: sub,
            createRevision: createRevision,
            version: version,
            lease: lease,
            previousMain: previousMain,
            previousSub: previousSub
        )
    }

    /// The key's state, without its bytes.
    public func state() -> KeyState {
        KeyState(
            main: main,
            sub: sub,
            createRevision: createRevision,
            version: version,
            lease: lease,
            valueLength: valueLength
        )
    }
}
