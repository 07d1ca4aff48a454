/// A call of a concurrent history: what was asked, what came of it, and between which two moments.
public struct HistoryCall: Sendable {
    /// What was asked. Every value that a history writes is written by one call alone.
    public enum Action: Sendable, Equatable {
        case get(String)
        case put(String, value: String)
        case delete(String)
        /// Writes where the key has that value, nil for a key that is not there; else reads it.
        case swap(String, from: String?, to: String)
        /// Reads both keys and writes both, in one transaction.
        case pair([String], values: [String])
    }

    /// What came of it.
    public enum Outcome: Sendable, Equatable {
        /// The values that were there before, by key, and the revision of the answer.
        case read([String: String?], revision: Int64)
        /// It wrote, and what it saw before where it looks.
        case wrote([String: String?], revision: Int64)
        /// It has certainly not happened.
        case refused
        /// It may have happened, and may happen yet.
        case unknown
    }

    public var client: Int
    public var action: Action
    /// Nanoseconds.
    public var began: UInt64
    public var ended: UInt64
    public var outcome: Outcome

    public init(client: Int, action: Action, began: UInt64, ended: UInt64, outcome: Outcome) {
        self.client = client
        self.action = action
        self.began = began
        self.ended = ended
        self.outcome = outcome
    }

    public var keys: [String] {
        switch action {
        case .get(let key), .put(let key, _), .delete(let key), .swap(let key, _, _): [key]
        case .pair(let keys, _): keys
        }
    }

    /// What it writes, where it does; nil takes the key away.
    public var writes: [String: String?] {
        switch action {
        case .get: [:]
        case .put(let key, let value), .swap(let key, _, let value): [key: value]
        case .delete(let key): [key: .none]
        case .pair(let keys, let values): Dictionary(uniqueKeysWithValues: zip(keys, values.map(Optional.some)))
        }
    }

    var revision: Int64? {
        switch outcome {
        case .read(_, let revision), .wrote(_, let revision): revision
        case .refused, .unknown: nil
        }
    }
}
