extension Compare {
    /// Holds if the revision at which the key was last changed, 0 of one that does not exist, is in this relation to `revision`.
    public static func modRevision(of key: String, _ relation: Relation = .equal, _ revision: Int64) -> Compare {
        Compare(key: Bytes(key.utf8), .modRevision(revision), relation)
    }

    /// Holds if the key was created at `revision`; 0 means that it must not exist.
    public static func createRevision(of key: String, _ relation: Relation = .equal, _ revision: Int64) -> Compare {
        Compare(key: Bytes(key.utf8), .createRevision(revision), relation)
    }

    /// Holds if the key was changed so many times since its creation.
    public static func version(of key: String, _ relation: Relation = .equal, _ version: Int64) -> Compare {
        Compare(key: Bytes(key.utf8), .version(version), relation)
    }

    /// Holds if the key's value stands in that relation to `value`; never of a key that does not exist.
    public static func value(of key: String, _ relation: Relation = .equal, _ value: String) -> Compare {
        Compare(key: Bytes(key.utf8), .value(Bytes(value.utf8)), relation)
    }

    /// Holds if the key does not exist.
    public static func isMissing(_ key: String) -> Compare { .createRevision(of: key, .equal, 0) }
    /// Holds if the key exists.
    public static func exists(_ key: String) -> Compare { .createRevision(of: key, .notEqual, 0) }
}

extension RequestOperation {
    /// Writes `value` under `key`.
    public static func put(_ key: String, _ value: String, lease: Int64 = 0) -> RequestOperation {
        .put(PutRequest(key: Bytes(key.utf8), value: Bytes(value.utf8), lease: lease))
    }

    /// Reads one key.
    public static func get(_ key: String) -> RequestOperation {
        .range(RangeRequest(key: Bytes(key.utf8)))
    }

    /// Reads the keys that begin with `prefix`.
    public static func list(prefix: String) -> RequestOperation {
        .range(RangeRequest(KeyRange(prefix: Bytes(prefix.utf8))))
    }

    /// Deletes one key.
    public static func delete(_ key: String) -> RequestOperation {
        .deleteRange(DeleteRangeRequest(KeyRange(lower: Bytes(key.utf8), upper: .single)))
    }
}
