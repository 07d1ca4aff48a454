/// The place of an event in the log.
public struct LogPosition: Hashable, Comparable, Sendable {
    /// The revision.
    public var main: Int64
    /// The place within the revision.
    public var sub: Int64

    /// A place from its parts.
    public init(main: Int64, sub: Int64) {
        self.main = main
        self.sub = sub
    }

    /// The order of the log.
    public static func < (one: LogPosition, other: LogPosition) -> Bool {
        (one.main, one.sub) < (other.main, other.sub)
    }
}
