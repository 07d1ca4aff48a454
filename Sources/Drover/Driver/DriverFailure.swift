/// What a driver throws: what kind of failure it was decides what the engine does about it.
public struct DriverFailure: Error, Sendable, CustomStringConvertible {
    /// Kinds of failure.
    public enum Kind: Sendable, Hashable {
        /// Another writer was in the way: the whole batch is tried again.
        case conflict
        /// The disk or the quota is full: the batch did not happen.
        case noSpace
        /// Whether the batch was committed is not known: it must be settled.
        case unknownOutcome
        /// The database cannot be reached or used now: the batch did not happen.
        case unavailable
        /// The database refuses this batch's data.
        case refused
        /// The batch holds a call that is larger than the database takes; the message says which setting to raise.
        case tooLarge
        /// The database has lost what this instance has acknowledged: its history has forked, or went back.
        case forked
        /// The database is damaged or is not what it should be.
        case corrupt
    }

    /// The kind of failure.
    public var kind: Kind
    /// What to tell a person; never holds keys, values or passwords.
    public var message: String
    /// The engine's own error number, if any.
    public var engineCode: Int
    /// Whether no server answered, one that is just starting did, or the connection was lost: it may be there in a moment.
    public var isUnreached = false
    /// Whether nothing is read or written any more until the store is opened anew.
    public var endsStore = false

    /// A failure from its parts.
    public init(_ kind: Kind, _ message: String, engineCode: Int = 0, isUnreached: Bool = false) {
        self.kind = kind
        self.message = message
        self.engineCode = engineCode
        self.isUnreached = isUnreached
        endsStore = kind == .forked
    }

    public var description: String { "\(message) [\(engineCode)]" }

    /// What a client is told.
    public var asDroverError: DroverError {
        switch kind {
        case .noSpace: DroverError(.noSpace, cause: self)
        case .corrupt: DroverError(.corrupt, cause: self)
        case .forked: DroverError(.init(.unavailable, message), cause: self)
        case .unavailable where isUnreached: DroverError(.connectionLost, cause: self)
        case .conflict, .unknownOutcome, .unavailable: DroverError(.timeout, cause: self)
        case .tooLarge: DroverError(.requestTooLarge, message: "drover: \(message)", cause: self)
        case .refused: DroverError(.internalFault, message: "drover: the database refused the request", cause: self)
        }
    }
}
