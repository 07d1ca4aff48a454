import Drover

/// Keys with more events since a revision than one statement follows.
extension PostgreSQLView {
    /// Where the keys of ``PGStatements/history(bounded:values:)`` whose chain was not followed to its end were at the
    /// revision; those that had no event then are not among them.
    func olderPlaces(_ result: PGResult, at revision: Int64) throws -> [Bytes: LogPosition] {
        var open: [Bytes: LogPosition] = [:]
        for i in 0..<result.rows where result.integer(i, 1) > revision {
            open[Bytes(result.bytes(i, 0))] = LogPosition(main: result.integer(i, 1), sub: result.integer(i, 2))
        }
        return try ChainSearch.positions(of: open, at: revision) { chains, hops in
            var parameters = PGParameters()
            parameters.add(chains.map(\.from.main))
            parameters.add(chains.map(\.from.sub))
            parameters.add(revision)
            parameters.add(Int64(hops))
            try connection.send(PGStatements.follow, parameters)
            let result = try connection.land()[0]
            var places = chains.map(\.from)
            for i in 0..<result.rows {
                places[Int(result.integer(i, 0)) - 1] =
                    LogPosition(main: result.integer(i, 1), sub: result.integer(i, 2))
            }
            return places
        } readBack: { keys, rows in
            var parameters = PGParameters()
            parameters.add(keys)
            parameters.add(revision)
            parameters.add(Int64(rows))
            try connection.send(PGStatements.readBack, parameters)
            let result = try connection.land()[0]
            var found: [Bytes: LogPosition] = [:]
            var isWhole = false
            for i in 0..<result.rows {
                if result.isNull(i, 0) {
                    isWhole = result.integer(i, 1) < Int64(rows)
                } else {
                    found[Bytes(result.bytes(i, 0))] =
                        LogPosition(main: result.integer(i, 1), sub: result.integer(i, 2))
                }
            }
            return (found, isWhole)
        }
    }
}
