import Drover

/// The statements of a batch's changes, added to the flight that commits them.
extension PostgreSQLWriter {
    func sendEvents(_ events: [ChangeSet.LogEvent], _ connection: PGConnection) throws {
        // A revision of a million events goes in several statements of the same flight.
        for start in stride(from: 0, to: events.count, by: 20_000) {
            let slice = events[start..<min(events.count, start + 20_000)]
            var parameters = PGParameters()
            parameters.add(slice.map(\.main))
            parameters.add(slice.map(\.sub))
            parameters.add(slice.map(\.previousMain))
            parameters.add(slice.map(\.previousSub))
            parameters.add(slice.map(\.createRevision))
            parameters.add(slice.map(\.version))
            parameters.add(slice.map(\.lease))
            parameters.add(slice.map(\.key))
            parameters.add(slice.map(\.value))
            try connection.send(PGStatements.insertLog, parameters)
        }
    }

    func sendKeys(_ keys: [ChangeSet.KeyChange], _ connection: PGConnection) throws {
        for start in stride(from: 0, to: keys.count, by: 20_000) {
            let slice = keys[start..<min(keys.count, start + 20_000)]
            let live = slice.filter(\.after.isLive)
            if !live.isEmpty {
                var parameters = PGParameters()
                parameters.add(live.map(\.key))
                parameters.add(live.map(\.after.main))
                parameters.add(live.map(\.after.sub))
                parameters.add(live.map(\.after.createRevision))
                parameters.add(live.map(\.after.version))
                parameters.add(live.map(\.after.lease))
                parameters.add(live.map { Int64($0.after.valueLength) })
                try connection.send(PGStatements.upsertCurrent, parameters)
            }
            let returned = live.filter { $0.before?.isLive == false }.map(\.key)
            if !returned.isEmpty { try send(PGStatements.deleteTombstone, returned, connection) }
            let dead = slice.filter { !$0.after.isLive }
            let gone = dead.filter { $0.before?.isLive == true }.map(\.key)
            if !gone.isEmpty { try send(PGStatements.deleteCurrent, gone, connection) }
            if !dead.isEmpty {
                var parameters = PGParameters()
                parameters.add(dead.map(\.key))
                parameters.add(dead.map(\.after.main))
                parameters.add(dead.map(\.after.sub))
                try connection.send(PGStatements.upsertTombstone, parameters)
            }
        }
    }

    private func send(_ statement: PGStatement, _ keys: [Bytes], _ connection: PGConnection) throws {
        var parameters = PGParameters()
        parameters.add(keys)
        try connection.send(statement, parameters)
    }

    func sendLeases(_ changes: ChangeSet, _ connection: PGConnection) throws {
        if !changes.revokedLeases.isEmpty {
            var parameters = PGParameters()
            parameters.add(changes.revokedLeases)
            try connection.send(PGStatements.deleteLeases, parameters)
        }
        if !changes.grantedLeases.isEmpty {
            var parameters = PGParameters()
            parameters.add(changes.grantedLeases.map(\.id))
            parameters.add(changes.grantedLeases.map(\.grantedTTL))
            try connection.send(PGStatements.insertLeases, parameters)
        }
    }
}
