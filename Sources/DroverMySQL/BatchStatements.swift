import Drover

/// The statements of a batch from its fence to its COMMIT.
struct BatchStatements {
    /// The instance whose batch it is.
    let writer: Int64
    /// Says something to a server that has heard nothing for a while.
    let stayActive: () throws -> Void

    /// A batch from its fence to its end.
    func append(_ changes: ChangeSet, _ flights: inout FlightSplitter) throws {
        flights.text.append("UPDATE drover_meta SET batch = CASE WHEN batch = ")
        flights.text.append(changes.base.batch)
        flights.text.append(" THEN batch + 1 END, revision = ")
        flights.text.append(changes.revision)
        flights.text.append(", compacted = ")
        flights.text.append(changes.compacted)
        flights.text.append(text: ", writer = \(writer) WHERE id = 1")
        flights.text.end()
        try appendEvents(changes.events, &flights)
        // In parts, between which the server hears of the transaction.
        for start in stride(from: 0, to: changes.keys.count, by: 20_000) {
            try appendKeys(changes.keys[start..<min(changes.keys.count, start + 20_000)], &flights)
            try stayActive()
        }
        try appendLeases(changes, &flights)
        if let system = changes.system {
            flights.text.append("UPDATE drover_meta SET system_revision = ")
            flights.text.append(changes.base.systemRevision + 1)
            flights.text.append(" WHERE id = 1")
            flights.text.end()
            flights.text.append("INSERT INTO drover_system VALUES (1, ")
            flights.text.append(system)
            flights.text.append(") ON DUPLICATE KEY UPDATE state = VALUES(state)")
            flights.text.end()
        }
        flights.text.append(
            text: "INSERT INTO drover_instance VALUES (\(writer), '', '', "
        )
        flights.text.append(changes.base.batch + 1)
        flights.text.append(
            text: ", 9223372036854775807, \(MySQLView.clock)) ON DUPLICATE KEY UPDATE batch = VALUES(batch)"
        )
        flights.text.end()
        // The second fence: the transaction is still the one that the first stands in.
        flights.text.append("UPDATE drover_meta SET batch = CASE WHEN batch = ")
        flights.text.append(changes.base.batch + 1)
        flights.text.append(text: " AND writer = \(writer) THEN batch END WHERE id = 1")
        flights.text.end()
        flights.text.add("COMMIT")
        flights.text.add(MySQLWriter.endOfBatch)
    }

    private func appendEvents(_ events: [ChangeSet.LogEvent], _ flights: inout FlightSplitter) throws {
        try flights.rows(
            events,
            "INSERT INTO drover_log VALUES ",
            bytes: { 120 + $0.key.count * 2 + $0.value.count * 2 }
        ) { text, event in
            text.append(event.main)
            text.comma()
            text.append(event.sub)
            text.comma()
            text.append(event.previousMain)
            text.comma()
            text.append(event.previousSub)
            text.comma()
            text.append(event.createRevision)
            text.comma()
            text.append(event.version)
            text.comma()
            text.append(event.lease)
            text.comma()
            text.append(event.key)
            text.comma()
            text.append(event.value)
        }
    }

    private func appendKeys(_ keys: ArraySlice<ChangeSet.KeyChange>, _ flights: inout FlightSplitter) throws {
        let live = keys.filter(\.after.isLive)
        try flights.rows(
            live,
            "INSERT INTO drover_current VALUES ",
            after:
                " ON DUPLICATE KEY UPDATE main = VALUES(main), sub = VALUES(sub), created = VALUES(created), version = VALUES(version), lease = VALUES(lease), length = VALUES(length)",
            bytes: { 100 + $0.key.count * 2 }
        ) { text, change in
            text.append(change.key)
            text.comma()
            text.append(change.after.main)
            text.comma()
            text.append(change.after.sub)
            text.comma()
            text.append(change.after.createRevision)
            text.comma()
            text.append(change.after.version)
            text.comma()
            text.append(change.after.lease)
            text.comma()
            text.append(Int64(change.after.valueLength))
        }
        let dead = keys.filter { !$0.after.isLive }
        try flights.list(
            live.filter { $0.before?.isLive == false }.map(\.key),
            "DELETE FROM drover_tombstone WHERE k IN "
        )
        try flights.list(dead.filter { $0.before?.isLive == true }.map(\.key), "DELETE FROM drover_current WHERE k IN ")
        try flights.rows(
            dead,
            "INSERT INTO drover_tombstone VALUES ",
            after: " ON DUPLICATE KEY UPDATE main = VALUES(main), sub = VALUES(sub)",
            bytes: { 50 + $0.key.count * 2 }
        ) { text, change in
            text.append(change.key)
            text.comma()
            text.append(change.after.main)
            text.comma()
            text.append(change.after.sub)
        }
        try appendAttachments(keys, &flights)
    }

    /// Which keys hang on which leases: a table of its own, since InnoDB has no partial index.
    private func appendAttachments(_ keys: ArraySlice<ChangeSet.KeyChange>, _ flights: inout FlightSplitter) throws {
        let moved = keys.filter { ($0.before?.lease ?? 0) != $0.after.lease }
        if moved.isEmpty { return }
        for (lease, changes) in Dictionary(grouping: moved, by: { $0.before?.lease ?? 0 }) where lease != 0 {
            try flights.list(changes.map(\.key), "DELETE FROM drover_lease_key WHERE lease = \(lease) AND k IN ")
        }
        try flights.rows(
            moved.filter { $0.after.lease != 0 },
            "INSERT IGNORE INTO drover_lease_key VALUES ",
            bytes: { 40 + $0.key.count * 2 }
        ) { text, change in
            text.append(change.after.lease)
            text.comma()
            text.append(change.key)
        }
    }

    private func appendLeases(_ changes: ChangeSet, _ flights: inout FlightSplitter) throws {
        if !changes.revokedLeases.isEmpty {
            flights.text.append("DELETE FROM drover_lease WHERE id IN ")
            flights.text.append(list: changes.revokedLeases)
            flights.text.end()
        }
        try flights.rows(changes.grantedLeases, "INSERT INTO drover_lease VALUES ", bytes: { _ in 120 }) {
            text,
            lease in
            text.append(lease.id)
            text.comma()
            text.append(lease.grantedTTL)
            text.append(text: ", \(MySQLView.clock) + 1000000 * ")
            text.append(lease.grantedTTL)
        }
    }
}
