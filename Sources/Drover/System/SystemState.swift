/// What is kept beside keys: alarms, and users with their roles. One row of the database, so that every instance sees a
/// change with the first snapshot it takes after it.
public struct SystemState: Sendable, Hashable {
    /// Of the forms that are known; higher ones are a newer Drover's. The second has, at its end, the names of users that
    /// are to have no password; it is written only where there are any, so that an older Drover beside this one goes on.
    private static let forms: ClosedRange<Int64> = 1...2

    /// What stands in place of the state while a snapshot is restored.
    static let unfinishedRestore: Bytes = {
        var writer = StateWriter()
        writer.write(Int64(-1))
        return writer.bytes
    }()

    /// The alarms that are raised.
    public var alarms: [Alarm] = []
    /// Users, roles, and whether they are asked for.
    public var auth = AuthState()

    /// Nothing: no alarm, no users.
    public init() {}

    init(decoding bytes: Bytes) throws {
        if bytes.isEmpty { return }
        var reader = StateReader(bytes)
        let form = try reader.number()
        if form == -1 {
            throw DriverFailure(
                .corrupt,
                "a snapshot was restored into the database, but not to its end; delete the file, or the drover_ tables, and restore anew"
            )
        }
        guard Self.forms.contains(form) else {
            throw DriverFailure(.corrupt, "the row in drover_system was written by a newer Drover; upgrade this one")
        }
        alarms = try reader.list { reader in
            guard let kind = Alarm.Kind(rawValue: UInt8(truncatingIfNeeded: try reader.number())) else {
                throw StateReader.damaged
            }
            return Alarm(kind: kind, member: UInt64(bitPattern: try reader.number()))
        }
        auth = try AuthState(&reader)
        if form > 1 { auth.markWithoutPassword(try reader.list { try $0.text() }) }
    }

    func encoded() -> Bytes {
        var writer = StateWriter()
        let names = auth.users.filter(\.isWithoutPassword).map(\.name)
        writer.write(names.isEmpty ? 1 : 2)
        writer.write(alarms) { writer, alarm in
            writer.write(Int64(alarm.kind.rawValue))
            writer.write(Int64(bitPattern: alarm.member))
        }
        auth.write(to: &writer)
        if !names.isEmpty { writer.write(names) { $0.write($1) } }
        return writer.bytes
    }
}
