import Drover
import Foundation
import TestSupport
import Testing

@testable import DroverPostgreSQL

@Suite("plans on PostgreSQL", .timeLimit(.minutes(2)))
struct PostgreSQLPlanTests {
    /// Each statement's plan as a session of the driver's makes it.
    private func plans(_ driver: PostgreSQLDriver) throws -> [(statement: PGStatement, plan: [String])] {
        var statements =
            PGStatements.ofWriter + PGStatements.ofReader + [
                PGStatements.renew, PGStatements.keysOfLease, PGStatements.expired, PGStatements.follow,
            ]
        for bounded in [false, true] {
            for values in [false, true] {
                statements.append(PGStatements.scan(bounded: bounded, values: values))
                statements.append(PGStatements.history(bounded: bounded, values: values))
            }
            statements.append(PGStatements.count(bounded: bounded))
            statements.append(PGStatements.log(values: bounded))
        }
        let connection = try driver.connect()
        var plans: [(PGStatement, [String])] = []
        for statement in statements where statement.sql.contains("drover_") {
            _ = try connection.query("PREPARE plan_of AS \(statement.sql)")
            let count = try connection.query(
                "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'plan_of'"
            )[0].integer(0, 0)
            let nulls = count == 0 ? "" : "(\((0..<count).map { _ in "NULL" }.joined(separator: ", ")))"
            let result = try connection.query("EXPLAIN EXECUTE plan_of\(nulls)")[0]
            plans.append((statement, (0..<result.rows).map { result.text($0, 0) }))
            _ = try connection.query("DEALLOCATE plan_of")
        }
        return plans
    }

    /// Parts of a plan that look at every row of a large table.
    private func scansOfWholeTables(_ plan: [String]) -> [String] {
        var found: [String] = []
        for (line, text) in plan.enumerated() {
            guard
                let name = ["drover_log", "drover_current", "drover_tombstone", "drover_lease"].first(
                    where: text.contains
                ),
                text.contains("Scan")
            else { continue }
            // What belongs to a node follows it, deeper.
            let depth = text.prefix { $0 == " " }.count
            let below = plan[(line + 1)...].prefix { text in
                text.prefix { $0 == " " }.count > depth && !text.contains("->")
            }
            let isByIndex = text.contains("Index") && below.contains { $0.contains("Index Cond") }
            let isByPlace = text.contains("Tid Scan") && below.contains { $0.contains("TID Cond") }
            let isLimited = text.contains("using drover_current_lease")
            if !isByIndex && !isByPlace && !isLimited { found.append("\(name): \(text)") }
        }
        return found
    }

    @Test(
        "fresh statistics of a table with few rows do not make a batch read whole tables",
        .enabled(if: Backend.selected.contains(.postgres))
    )
    func pinned() async throws {
        try await withTemporaryDirectory { directory in
            let store = try Backend.postgres.open(directory)
            let driver = try #require(try Backend.postgres.makeDriver(directory) as? PostgreSQLDriver)
            let server = try #require(try Backend.postgres.server())
            let name = Engine.database(directory)
            for rows in [0, 1, 3, 2_000] {
                for i in 0..<rows {
                    try await store.put("k/\(i)", "v")
                    if i % 2 == 1 { try await store.delete("k/\(i - 1)") }
                }
                for statement in ["VACUUM ANALYZE", "VACUUM FULL", "ANALYZE"] {
                    try server.sql(statement, database: name)
                    for (statement, plan) in try plans(driver) {
                        let whole = scansOfWholeTables(plan)
                        #expect(whole.isEmpty, "\(statement.name) with \(rows) rows: \(plan.joined(separator: "\n"))")
                    }
                }
            }
            await store.close()
            driver.close()
        }
    }
}
