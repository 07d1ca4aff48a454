/// What a role may do with a range of keys. Source: etcd `auth.proto`, `Permission`.
public struct AuthPermission: Sendable, Hashable {
    /// What may be done, numbered as on the wire.
    public enum Kind: Int64, Sendable, Hashable {
        case read = 0
        case write = 1
        case readWrite = 2
    }

    /// What may be done.
    public var kind: Kind
    /// The first key.
    public var key: Bytes
    /// As in a range request: empty is the one key, a zero byte is every key from the first on.
    public var rangeEnd: Bytes

    /// A permission from its parts.
    public init(kind: Kind, key: Bytes, rangeEnd: Bytes) {
        self.kind = kind
        self.key = key
        self.rangeEnd = rangeEnd
    }

    /// Whether the range is one that etcd takes.
    var isValid: Bool {
        if key.isEmpty { return false }
        if rangeEnd.isEmpty || rangeEnd == [0] { return true }
        return Bytes.precedes(key, rangeEnd)
    }

    var range: KeyRange { KeyRange(key: key, rangeEnd: rangeEnd) }
}

/// A user. Source: etcd `auth.proto`, `User`.
public struct AuthUser: Sendable, Hashable {
    /// The name.
    public var name: String
    /// The password's hash as its maker wrote it; empty of a user that has none.
    public var passwordHash: Bytes
    /// The roles granted, in order.
    public var roles: [String]
    /// The auth revision at which the user was made or its password changed: older tokens are over.
    var changedAt: Int64
    /// Made to have no password, ever: it is known by its certificate, or by tokens that another has signed. Source: etcd
    /// `auth.proto`, `UserAddOptions`.
    public internal(set) var isWithoutPassword = false
}

/// A role. Source: etcd `auth.proto`, `Role`.
public struct AuthRole: Sendable, Hashable {
    /// The name.
    public var name: String
    /// What it may do, in the order of keys.
    public var permissions: [AuthPermission]
}
