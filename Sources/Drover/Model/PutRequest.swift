/// A write of one key. Source: etcd `PutRequest`.
public struct PutRequest: Hashable, Sendable {
    /// The key.
    public var key: Bytes
    /// The value.
    public var value: Bytes
    /// The lease to attach to; 0 is none, and detaches.
    public var lease: Int64
    /// Return the key as it was before.
    public var wantsPrevious: Bool
    /// Keep the present value.
    public var ignoresValue: Bool
    /// Keep the present lease.
    public var ignoresLease: Bool

    /// A write of `value` under `key`.
    public init(
        key: Bytes,
        value: Bytes,
        lease: Int64 = 0,
        wantsPrevious: Bool = false,
        ignoresValue: Bool = false,
        ignoresLease: Bool = false
    ) {
        self.key = key
        self.value = value
        self.lease = lease
        self.wantsPrevious = wantsPrevious
        self.ignoresValue = ignoresValue
        self.ignoresLease = ignoresLease
    }
}

/// The answer to a ``PutRequest``.
public struct PutResponse: Hashable, Sendable {
    /// The revision of the write.
    public var revision: Int64
    /// The key as it was before, if asked for and there was one.
    public var previous: KeyValue?

    /// An answer from its parts.
    public init(revision: Int64, previous: KeyValue? = nil) {
        self.revision = revision
        self.previous = previous
    }
}
