package import Drover

#if SQLite
    import DroverSQLite
#endif

#if PostgreSQL
    import DroverPostgreSQL
#endif

#if MySQL
    import DroverMySQL
#endif

/// The backends that the programs of this package were built with. A new one is registered here.
package enum Backends {
    /// Each of them, in the order in which they are asked whether an endpoint is theirs.
    package static var all: [any DriverProvider.Type] {
        var providers: [any DriverProvider.Type] = []
        #if SQLite
            providers.append(SQLiteDriver.self)
        #endif
        #if PostgreSQL
            providers.append(PostgreSQLDriver.self)
        #endif
        #if MySQL
            providers.append(MySQLDriver.self)
        #endif
        return providers
    }

    /// Whether the endpoint's database is in this process.
    package static func isEmbedded(_ endpoint: String) -> Bool {
        all.first { $0.serves(endpoint) }?.isEmbedded ?? false
    }

    /// Sets the engines' libraries up for a process that does nothing else. Call it before the first store.
    package static func tuneProcess() {
        #if SQLite
            SQLiteDriver.disableMemoryStatistics()
        #endif
    }
}
