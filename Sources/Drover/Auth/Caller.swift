/// On whose behalf a call is made.
public enum Caller: Sendable, Hashable {
    /// The program that links the library, or Drover itself: everything is permitted.
    case trusted
    /// A client that did not say who it is.
    case anonymous
    /// A client whose token is none of ours, or is over.
    case refused
    /// A client that has shown who it is.
    case user(Identity)
    /// A client whose token could not be known by what this process had seen of users when it came: the snapshot that
    /// answers the call decides.
    case bearer(Bearer)

    /// A token, and how it is known by the state of a snapshot.
    public struct Bearer: Sendable, Hashable {
        private let token: String
        let identity: @Sendable (AuthState) -> Identity?

        /// A token whose bearer `identity` knows; nil is nobody.
        public init(_ token: String, _ identity: @escaping @Sendable (AuthState) -> Identity?) {
            self.token = token
            self.identity = identity
        }

        public static func == (left: Self, right: Self) -> Bool { left.token == right.token }

        public func hash(into hasher: inout Hasher) { hasher.combine(token) }
    }

    /// A user, and how it was shown.
    public struct Identity: Sendable, Hashable {
        /// How it was shown.
        public enum Proof: Sendable, Hashable {
            /// A token of ours, issued at an auth revision: good until the user's password changes.
            case token(issuedAt: Int64)
            /// Claims signed by someone else, over an auth revision: good until anything of auth changes.
            case claims(revision: Int64)
            /// A certificate of the connection.
            case certificate
        }

        /// The user's name.
        public var name: String
        /// How it was shown.
        public var proof: Proof

        /// An identity from its parts.
        public init(name: String, proof: Proof) {
            self.name = name
            self.proof = proof
        }

        public static func == (left: Self, right: Self) -> Bool {
            left.proof == right.proof && ExactName(left.name) == ExactName(right.name)
        }

        public func hash(into hasher: inout Hasher) {
            hasher.combine(ExactName(name))
            hasher.combine(proof)
        }
    }
}
