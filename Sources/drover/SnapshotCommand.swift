import ArgumentParser
import Drover
import DroverServer

/// `drover snapshot`.
struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Take snapshots, restore them, and look at them.",
        subcommands: [SnapshotSaveCommand.self, SnapshotRestoreCommand.self, SnapshotStatusCommand.self]
    )
}

/// `drover snapshot restore`.
struct SnapshotRestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Fill an empty database from a snapshot, on any backend.",
        discussion: "The database may be of another backend than the one the snapshot was taken from."
    )

    @Argument(help: "The file of the snapshot.")
    var file: String

    @Option(help: "The database to fill, as for `drover serve`; a new file, or a database without Drover's tables.")
    var endpoint: String?

    @Flag(help: "Restore a file whose checksum is missing, such as one copied from a running server's stream.")
    var skipHashCheck = false

    @Option(
        help: ArgumentHelp(
            "Raise the revision by this much, and mark all that is restored as compacted: clients that have seen later revisions begin anew.",
            valueName: "revisions"
        )
    )
    var bumpRevision: Int64 = 0

    @Flag(help: "What --bump-revision does anyway; for etcdutl's users.")
    var markCompacted = false

    func validate() throws {
        guard (0...SnapshotRestore.mostRevision).contains(bumpRevision) else {
            throw ValidationError("--bump-revision must be from 0 to \(SnapshotRestore.mostRevision)")
        }
        if markCompacted && bumpRevision == 0 { throw ValidationError("--mark-compacted needs --bump-revision") }
    }

    func run() async throws {
        try OfflineCommand.reporting {
            let snapshot = try SnapshotFile(path: file)
            defer { snapshot.close() }
            if !skipHashCheck { try snapshot.verify() }
            let driver = try OfflineCommand.driver(DatabaseEndpoint.named(endpoint))
            defer { driver.close() }
            let restore = SnapshotRestore(into: driver, bumpingBy: bumpRevision, snapshot.read)
            try restore.check(try snapshot.summary())
            snapshot.goBack()
            let result = try restore.run()
            FileHandles.standardOutput(
                "restored revision \(result.revision), compacted at \(result.compacted): \(result.events) rows of history, \(result.leases) leases\n"
            )
        }
    }
}

/// `drover snapshot status`.
struct SnapshotStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Check a snapshot's checksum and say what is in it."
    )

    @Argument(help: "The file of the snapshot.")
    var file: String

    func run() async throws {
        try OfflineCommand.reporting {
            let snapshot = try SnapshotFile(path: file)
            defer { snapshot.close() }
            try snapshot.verify()
            let summary = try snapshot.summary()
            FileHandles.standardOutput(
                "revision \(summary.revision), compacted at \(summary.compacted): \(summary.events) rows of history, \(summary.leases) leases, \(snapshot.bytes) bytes\n"
            )
        }
    }
}
