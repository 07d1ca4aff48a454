import Drover

#if SQLite
    import DroverSQLite
#endif

#if PostgreSQL
    import DroverPostgreSQL
#endif

#if MySQL
    import DroverMySQL
#endif

/// The backends this executable was built with. A new one is registered here.
enum Backends {
    static var all: [any DriverProvider.Type] {
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
}
