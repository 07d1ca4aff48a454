#if MySQL
    import Drover
    import DroverMySQL
    import TestSupport
    import Testing

    @Suite(
        "the longest keys of MySQL's tables",
        .enabled(if: Backend.selected.contains(.mariadb)),
        .timeLimit(.minutes(1))
    )
    struct MySQLKeyTests {
        @Test("as long as InnoDB takes them; tables that were made for shorter ones are refused")
        func longest() async throws {
            try await withTemporaryDirectory { directory in
                var configuration = try MySQLConfiguration(endpoint: try Backend.mariadb.endpoint(directory))
                var settings = StoreConfiguration()
                settings.logger = quietLogger
                func open(_ bytes: Int) async throws -> Store {
                    configuration.maximumKeyBytes = bytes
                    return try await Store.open(mysql: configuration, configuration: settings)
                }
                for bytes in [100, 3_064] {
                    let server = try #require(try Backend.mariadb.server())
                    try server.sql("DROP DATABASE IF EXISTS \(Backend.database(directory))", database: nil)
                    let store = try await open(bytes)
                    let lease = try await store.grantLease(ttl: 600)
                    let key = Bytes(repeating: 0xff, count: bytes)
                    try await store.put(PutRequest(key: key, value: [1], lease: lease.id))
                    #expect(try await store.get(key)?.lease == lease.id)
                    await #expect {
                        try await store.put(PutRequest(key: key + [0], value: []))
                    } throws: {
                        ($0 as? DroverError)?.code == .keyTooLong
                    }
                    await store.close()
                    await #expect {
                        _ = try await open(bytes + 1)
                    } throws: {
                        "\($0)".contains("made for keys of \(bytes) bytes")
                    }
                }
            }
        }
    }
#endif
