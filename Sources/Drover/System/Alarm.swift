/// A condition that an operator must see to, as etcd raises it.
///
/// Source: etcd `rpc.proto`, `AlarmMember`.
public struct Alarm: Hashable, Sendable {
    /// What is wrong, numbered as on the wire.
    public enum Kind: UInt8, Sendable, Hashable, CaseIterable {
        /// The database has reached its quota: what would make it grow is refused until the alarm is disarmed.
        case noSpace = 1
        /// The data is not to be trusted: writes of keys are refused.
        case corrupt = 2
    }

    /// What is wrong.
    public var kind: Kind
    /// The member that raised it.
    public var member: UInt64

    /// An alarm from its parts.
    public init(kind: Kind, member: UInt64) {
        self.kind = kind
        self.member = member
    }

    /// etcd's name of the kind.
    public var name: String {
        switch kind {
        case .noSpace: "NOSPACE"
        case .corrupt: "CORRUPT"
        }
    }
}
