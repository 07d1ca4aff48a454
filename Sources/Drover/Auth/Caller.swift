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
    }
}
