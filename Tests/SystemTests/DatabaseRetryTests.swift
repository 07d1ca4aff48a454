import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests.DatabaseConditions {
    /// Has the database refuse the first batches of a store with an error that asks for another try, by a trigger that
    /// counts in a sequence, since a sequence does not roll back.
    private func refuse(_ database: any DatabaseServer, _ engine: Engine, times: Int, with error: String) throws {
        let script =
            engine == .postgres
            ? """
            CREATE SEQUENCE refused;
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('refused') <= \(times) THEN
                    RAISE EXCEPTION 'try again' USING ERRCODE = '\(error)';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON drover_log FOR EACH STATEMENT EXECUTE FUNCTION refuse();
            """
            : """
            CREATE SEQUENCE refused;
            DELIMITER //
            CREATE TRIGGER refuse BEFORE INSERT ON drover_log FOR EACH ROW
            IF NEXTVAL(refused) <= \(times) THEN
                SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = \(error), MESSAGE_TEXT = 'try again';
            END IF//
            """
        try database.sql(script, database: "faults")
    }

    @Test(
        "batches that the engine asks to have again come again, once each",
        arguments: [
            (Engine.postgres, "40001"), (.postgres, "40P01"), (.postgres, "55P03"),
            (.mariadb, "1205"), (.mariadb, "1213"), (.mariadb, "3101"),
        ].filter { Engine.selected.contains($0.0) }
    )
    func askedAgain(engine: Engine, error: String) async throws {
        try await withServer(engine) { database, directory in
            let drover = try await TestServer.drover(
                directory: directory,
                endpoint: database.endpoint(database: "faults")
            )
            let connection = try await drover.connect()
            #expect(try await put(connection, "before", "0") == 2)
            let before = try conflicts(drover)
            try refuse(database, engine, times: 6, with: error)
            let revisions = try await withThrowingTaskGroup(of: Int64.self) { group in
                for lane in 0..<20 {
                    group.addTask {
                        try await put(connection, "a/\(lane)", "1")
                        return try await put(connection, "a/\(lane)", "2")
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(revisions.max() == 42, "40 puts ended at \(revisions.max() ?? 0)")
            #expect(try conflicts(drover) - before >= 6)
            for lane in 0..<20 {
                let kv = try #require(try await get(connection, "a/\(lane)").kvs.first)
                #expect(kv.version == 2 && kv.value == Data("2".utf8))
            }
            drover.process.stop()
            let check = try run(droverExecutable(), ["check", "--endpoint", database.endpoint(database: "faults")])
            #expect(check.status == 0, "\(check.output)\(check.error)")
        }
    }
}
