import ArgumentParser
import Drover
import DroverBackends
import Logging

/// What the commands share that work on a database while no server does.
enum OfflineCommand {
    /// The driver of an endpoint, which logs nothing: the command's own words are enough.
    static func driver(_ endpoint: String) throws -> any Driver {
        let logger = Logger(label: "drover") { _ in SwiftLogNoOpLogHandler() }
        return try Store.driver(endpoint, using: Backends.all, options: DriverOptions(logger: logger))
    }

    /// Runs `body`; what it throws is printed in words, and ends the command with `status`.
    static func reporting(status: Int32 = 1, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as DroverError {
            FileHandles.standardError("error: \(error.message)\n")
            throw ExitCode(status)
        } catch let failure as DriverFailure {
            FileHandles.standardError("error: \(failure.message)\n")
            throw ExitCode(status)
        }
    }
}
