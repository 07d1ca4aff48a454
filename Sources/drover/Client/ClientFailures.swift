import ArgumentParser
import DroverClient

/// How commands that ask several servers end when something cannot be done at all.
enum ClientFailures {
    static func reported<R>(_ body: () async throws -> R) async throws -> R {
        do {
            return try await body()
        } catch {
            throw status(of: error)
        }
    }

    static func reported<R>(_ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch {
            throw status(of: error)
        }
    }

    /// Prints what went wrong.
    ///
    /// - Returns: what to end with.
    static func status(of error: any Error) -> any Error {
        switch error {
        case let failure as CommandFailure:
            FileHandles.standardError("Error: \(failure.message)\n")
            return ExitCode(failure.status)
        case let error as ClientError:
            FileHandles.standardError("Error: \(error.message)\n")
            return ExitCode(1)
        default:
            return error
        }
    }
}
