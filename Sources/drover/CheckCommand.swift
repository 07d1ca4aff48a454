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
        discussion: """
            It changes nothing but an older schema of a SQLite file, which it brings up to date. The status is 1 when \
            something is wrong, and 2 when it could not look.
            """
    )

    @Option(help: "The database, as for `drover serve`.")
    var endpoint: String?

    func run() async throws {
        try OfflineCommand.reporting(status: 2) {
            let endpoint = DatabaseEndpoint.named(self.endpoint)
            #if SQLite
                // Opening would make the file, and find nothing wrong with it.
                if SQLiteDriver.serves(endpoint) {
                    let path = SQLiteConfiguration(endpoint: endpoint).path
                    var status = stat()
                    guard access(path, R_OK) == 0, stat(path, &status) == 0 else {
                        throw DroverError(
                            .database,
                            message: "drover: there is no readable file at the endpoint's path"
                        )
                    }
                    if status.st_size == 0 {
                        throw DroverError(.database, message: "drover: the file at the endpoint's path is empty")
                    }
                }
            #endif
            let driver = try OfflineCommand.driver(endpoint)
            defer { driver.close() }
            // No server may have a file open meanwhile. Of a database server the writer would make what is missing.
            let writer = driver.isShared ? nil : try driver.openWriter()
            defer { writer?.close() }
            let report: StoreCheck.Report
            do {
                var check = StoreCheck(try driver.openReader())
                report = try check.run()
            } catch  where driver.isShared {
                FileHandles.standardError("the endpoint must name a database that this version of Drover has served\n")
                throw error
            }
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
