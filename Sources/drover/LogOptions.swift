import ArgumentParser
import Logging

/// How the process logs.
struct LogOptions: ParsableArguments {
    @Option(help: "The least level that is logged: trace, debug, info, notice, warning (or warn), error or critical.")
    var logLevel: String = Environment.value("LOG_LEVEL") ?? "info"

    @Option(help: "plain or json.")
    var logFormat: String = Environment.value("LOG_FORMAT") ?? "plain"

    @Flag(help: "The same as --log-level debug.")
    var debug = Environment.flag("DEBUG")

    func validate() throws {
        guard level != nil else {
            throw ValidationError("--log-level must be trace, debug, info, notice, warning, error or critical.")
        }
        guard ["plain", "json"].contains(logFormat) else {
            throw ValidationError("--log-format must be plain or json.")
        }
    }

    /// etcd's word for a warning is taken, too.
    private var level: Logger.Level? { logLevel == "warn" ? .warning : Logger.Level(rawValue: logLevel) }

    /// Sets logging up for the process and returns its logger.
    func bootstrap() -> Logger {
        let level = debug ? .debug : level ?? .info
        let json = logFormat == "json"
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
