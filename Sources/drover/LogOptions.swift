import ArgumentParser
import Logging

/// How the process logs.
struct LogOptions: ParsableArguments {
    @Option(
        help:
            "The least level that is logged: trace, debug, info, notice, warning (or warn), error or critical. Default info."
    )
    var logLevel: String?

    @Option(help: "plain or json.")
    var logFormat: String = Environment.value("LOG_FORMAT") ?? "plain"

    @Flag(inversion: .prefixedNo, help: "The same as --log-level debug.")
    var debug: Bool?

    var isJSON: Bool { logFormat == "json" }

    func validate() throws {
        guard level != nil else {
            throw ValidationError("--log-level must be trace, debug, info, notice, warning, error or critical.")
        }
        guard ["plain", "json"].contains(logFormat) else {
            throw ValidationError("--log-format must be plain or json.")
        }
    }

    /// etcd's word for a warning is taken, too.
    private var level: Logger.Level? {
        // A flag comes before the environment.
        if debug ?? (logLevel == nil && Environment.flag("DEBUG")) { return .debug }
        let name = logLevel ?? Environment.value("LOG_LEVEL") ?? "info"
        return name == "warn" ? .warning : Logger.Level(rawValue: name)
    }

    /// Sets logging up for the process and returns its logger.
    func bootstrap() -> Logger {
        let (level, json) = (level ?? .info, isJSON)
        LoggingSystem.bootstrap { label in
            json ? JSONLogHandler(level: level) : plainHandler(label, level)
        }
        return Logger(label: "drover")
    }
}

private func plainHandler(_ label: String, _ level: Logger.Level) -> any LogHandler {
    var handler = StreamLogHandler.standardError(label: label)
    handler.logLevel = level
    return handler
}
