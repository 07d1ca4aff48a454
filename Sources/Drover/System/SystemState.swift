/// What is kept beside keys: alarms, and users with their roles. One row of the database, so that every instance sees a
/// change with the first snapshot it takes after it.
public struct SystemState: Sendable, Hashable {
    /// Of the form that is written; higher ones are a newer Drover's.
    private static let form: Int64 = 1

    /// The alarms that are raised.
    public var alarms: [Alarm] = []
    /// Users, roles, and whether they are asked for.
    public var auth = AuthState()

    /// Nothing: no alarm, no users.
    public init() {}

    init(decoding bytes: Bytes) throws {
        if bytes.isEmpty { return }
        var reader = StateReader(bytes)
        guard try reader.number() == Self.form else {
            throw DriverFailure(.corrupt, "the row in drover_system was written by a newer Drover; upgrade this one")
        }
        alarms = try reader.list { reader in
            guard let kind = Alarm.Kind(rawValue: UInt8(truncatingIfNeeded: try reader.number())) else {
                throw StateReader.damaged
            }
            return Alarm(kind: kind, member: UInt64(bitPattern: try reader.number()))
        }
        auth = try AuthState(&reader)
    }

    func encoded() -> Bytes {
        var writer = StateWriter()
        writer.write(Self.form)
        writer.write(alarms) { writer, alarm in
            writer.write(Int64(alarm.kind.rawValue))
            writer.write(Int64(bitPattern: alarm.member))
        }
        auth.write(to: &writer)
        return writer.bytes
    }
}
