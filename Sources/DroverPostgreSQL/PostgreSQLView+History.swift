import Drover

/// Keys with more events since a revision than one statement follows.
extension PostgreSQLView {
    func follow(_ places: [LogPosition], downTo revision: Int64, hops: Int) throws -> [LogPosition] {
        var parameters = PGParameters()
        parameters.add(places.map(\.main))
        parameters.add(places.map(\.sub))
        parameters.add(revision)
        parameters.add(Int64(hops))
        try connection.send(PGStatements.follow, parameters)
        let result = try connection.land()[0]
        var ends = places
        for i in 0..<result.rows {
            ends[Int(result.integer(i, 0)) - 1] = LogPosition(main: result.integer(i, 1), sub: result.integer(i, 2))
        }
        return ends
    }

    func readBack(
        _ keys: [Bytes],
        from revision: Int64,
        rows: Int
    ) throws -> (found: [Bytes: LogPosition], isWhole: Bool) {
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
                found[Bytes(result.bytes(i, 0))] = LogPosition(main: result.integer(i, 1), sub: result.integer(i, 2))
            }
        }
        return (found, isWhole)
    }
}
