import Drover
import DroverMySQL
import DroverPostgreSQL
import TestSupport
import Testing

@Suite("endpoints of database servers", .timeLimit(.minutes(1)))
struct EndpointTests {
    @Test("MySQL: URLs and the Go driver's form")
    func mysql() throws {
        let url = try MySQLConfiguration(
            endpoint: "mysql://us%40er:p%3Aw@db1:3307,db2,[::1]:3308/my%2Fdb?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem"
        )
        #expect(url.user == "us@er" && url.password == "p:w" && url.database == "my/db")
        #expect(
            url.addresses == [
                .tcp(host: "db1", port: 3_307), .tcp(host: "db2", port: 3_306), .tcp(host: "::1", port: 3_308),
            ]
        )
        #expect(url.tlsMode == .verified && url.tls.authorityFile == "/ca.pem")
        // The password as it is, special characters and all.
        let go = try MySQLConfiguration(
            endpoint: "mysql://k3s:p@ss%/wo?rd@tcp(10.0.0.1:3306)/kube?tls=skip-verify&parseTime=true"
        )
        #expect(go.user == "k3s" && go.password == "p@ss%/wo?rd" && go.database == "kube")
        #expect(go.addresses == [.tcp(host: "10.0.0.1", port: 3_306)] && go.tlsMode == .required)
        let socket = try MySQLConfiguration(endpoint: "mysql://root@unix(/run/mysqld/mysqld.sock)/")
        #expect(socket.addresses == [.unix(path: "/run/mysqld/mysqld.sock")] && socket.database == "kubernetes")
        #expect(socket.tlsMode == nil)
        #expect(try MySQLConfiguration(endpoint: "mysql://h/d?ssl-mode=DISABLED").tlsMode == .disabled)
        let alone = try MySQLConfiguration(endpoint: "mysql")
        #expect(alone.user == "root" && alone.addresses == [.unix(path: "/var/run/mysqld/mysqld.sock")])
        for bad in [
            "mysql://u:secret@tcp(host:1/db", "mysql://u:secret@host:99999/db", "mysql://u:secret@h/db?nonsense=1",
        ] {
            #expect { try MySQLConfiguration(endpoint: bad) } throws: {
                let error = $0 as? DroverError
                return error?.code == .badEndpoint && error?.message.contains("secret") == false
            }
        }
    }

    @Test("PostgreSQL: which endpoints are its, and what it takes from them")
    func postgres() {
        for endpoint in [
            "postgres://h/d", "postgresql://h/d", "postgres", "host=h dbname=d", "service=s", "user=app host=h",
            " port = 5432 host=h", "sslmode=disable dbname=d",
        ] {
            #expect(PostgreSQLDriver.serves(endpoint), "\(endpoint)")
        }
        for endpoint in ["sqlite://h", "mysql://h/d", "hostess", "user", "nonsense=1 host=h", "sqlite://f?user=1", ""] {
            #expect(!PostgreSQLDriver.serves(endpoint), "\(endpoint)")
        }
        let pooled = PostgreSQLConfiguration(endpoint: "postgres://h/d?prepared_statements=false&sslmode=require")
        #expect(!pooled.preparesStatements && pooled.connectionString == "postgres://h/d?sslmode=require")
        #expect(PostgreSQLConfiguration(endpoint: "postgres://h/d?sslmode=require").preparesStatements)
        #expect(
            PostgreSQLConfiguration(endpoint: "postgres").connectionString == "postgres://postgres:postgres@localhost/"
        )
        #expect {
            try PostgreSQLDriver.makeDriver(endpoint: "postgres://u:secret@h/d?nonsense=1", options: .init())
        } throws: {
            let error = $0 as? DroverError
            return error?.code == .badEndpoint && error?.message.contains("secret") == false
        }
    }

    @Test(
        "a store through unprepared statements, as behind a pooler",
        .enabled(if: Engine.selected.contains(.postgres))
    )
    func unprepared() async throws {
        try await withTemporaryDirectory { directory in
            var configuration = PostgreSQLConfiguration(endpoint: try Engine.postgres.endpoint(directory))
            configuration.preparesStatements = false
            let store = try await Store.open(postgres: configuration)
            for i in 0..<20 { try await store.put("k/\(i % 5)", "\(i)") }
            #expect(try await store.list(prefix: "k/").count == 5)
            #expect(try await store.get("k/1", revision: 5)?.valueString == "1")
            await store.close()
        }
    }
}
