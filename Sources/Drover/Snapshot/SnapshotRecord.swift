/// What a snapshot is made of, in this order: events as the log has them, leases, the system state, the end.
public enum SnapshotRecord: Sendable {
    /// A row of the log.
    case event(ChangeSet.LogEvent)
    /// A lease, which begins its time anew when it is restored.
    case lease(LeaseRecord)
    /// Alarms, users and roles.
    case system(Bytes)
    /// The revision that the snapshot shows, and its compaction mark. What comes after it is not ours.
    case end(revision: Int64, compacted: Int64)

    /// What a snapshot begins with; its last byte is the form's version.
    public static let head = Array("DROVERSNAPSHOT".utf8) + [0, 1]

    private enum Kind: Int64 {
        case event = 1
        case lease, system, end
    }

    func write(to writer: inout StateWriter) {
        switch self {
        case .event(let event):
            writer.write(Kind.event.rawValue)
            writer.write(event.main)
            writer.write(event.sub)
            writer.write(event.previousMain)
            writer.write(event.previousSub)
            writer.write(event.createRevision)
            writer.write(event.version)
            writer.write(event.lease)
            writer.write(event.key)
            writer.write(event.value)
        case .lease(let lease):
            writer.write(Kind.lease.rawValue)
            writer.write(lease.id)
            writer.write(lease.grantedTTL)
        case .system(let state):
            writer.write(Kind.system.rawValue)
            writer.write(state)
        case .end(let revision, let compacted):
            writer.write(Kind.end.rawValue)
            writer.write(revision)
            writer.write(compacted)
        }
    }

    /// Reads one record from a source of bytes.
    ///
    /// - Throws: ``DroverError`` when it is no record of ours.
    init(_ read: (Int) throws -> Bytes) throws {
        func number() throws -> Int64 { try read(8).reduce(0) { $0 << 8 | Int64($1) } }
        func part() throws -> Bytes {
            let count = try number()
            guard count >= 0, count <= 1 << 30 else { throw Self.damaged }
            return try read(Int(count))
        }
        switch Kind(rawValue: try number()) {
        case .event:
            let (main, sub, previousMain, previousSub) = (try number(), try number(), try number(), try number())
            let (created, version, lease) = (try number(), try number(), try number())
            let key = try part()
            self = .event(
                .init(
                    key: key,
                    value: try part(),
                    main: main,
                    sub: sub,
                    createRevision: created,
                    version: version,
                    lease: lease,
                    previousMain: previousMain,
                    previousSub: previousSub
                )
            )
        case .lease:
            let id = try number()
            self = .lease(LeaseRecord(id: id, grantedTTL: try number()))
        case .system:
            self = .system(try part())
        case .end:
            let revision = try number()
            self = .end(revision: revision, compacted: try number())
        case nil:
            throw Self.damaged
        }
    }

    static var damaged: DroverError {
        DroverError(.badSnapshot, message: "drover: the snapshot is damaged; take it again, or use an older one")
    }
}

extension DroverError.Code {
    /// A snapshot that cannot be restored; the message says why.
    public static let badSnapshot = Self(.invalidArgument, "drover: the snapshot cannot be restored")
}
