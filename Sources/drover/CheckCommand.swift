import ArgumentParser
import Drover

#if SQLite
    import DroverSQLite
#endif

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// `drover check`.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look through a database for damage, while no server writes to it.",
        discussion: "It changes nothing. The status is 1 when something is wrong."
    )

    @Option(help: "The database, as for `drover serve`.")
    var endpoint: String = Environment.value("ENDPOINT") ?? "sqlite"

    func run() async throws {
        try OfflineCommand.reporting(status: 2) {
            #if SQLite
                // Opening would make the file, and find nothing wrong with it.
                if SQLiteDriver.serves(endpoint), access(SQLiteConfiguration(endpoint: endpoint).path, R_OK) != 0 {
                    throw DroverError(.database, message: "drover: there is no readable file at the endpoint's path")
                }
            #endif
            let driver = try OfflineCommand.driver(endpoint)
            defer { driver.close() }
            let writer = try driver.openWriter()
            defer { writer.close() }
            var check = StoreCheck(try driver.openReader())
            let report = try check.run()
            for finding in report.findings { FileHandles.standardOutput("\(finding)\n") }
            if report.hasMore { FileHandles.standardOutput("and more\n") }
            let looked =
                "revision \(report.revision), compacted at \(report.compacted): \(report.keys) keys, \(report.events) events, \(report.leases) leases"
            FileHandles.standardOutput(
                report.findings.isEmpty
                    ? "\(looked); nothing is wrong\n"
                    : "\(looked); restore the database from a backup, or ask for help with what is said above\n"
            )
            if !report.findings.isEmpty { throw ExitCode(1) }
        }
    }
}
