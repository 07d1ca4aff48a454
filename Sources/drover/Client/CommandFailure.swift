/// Why a command of the client ends without having done its work. The statuses are etcdctl's.
struct CommandFailure: Error {
    let message: String
    let status: Int32

    static func failed(_ message: String) -> CommandFailure { CommandFailure(message: message, status: 1) }
    static func badConnection(_ message: String) -> CommandFailure { CommandFailure(message: message, status: 2) }
    static func invalidInput(_ message: String) -> CommandFailure { CommandFailure(message: message, status: 3) }
    static func badFeature(_ message: String) -> CommandFailure { CommandFailure(message: message, status: 4) }
    static func interrupted(_ message: String) -> CommandFailure { CommandFailure(message: message, status: 5) }
    static func file(_ message: String) -> CommandFailure { CommandFailure(message: message, status: 6) }
    static func badArguments(_ message: String) -> CommandFailure { CommandFailure(message: message, status: 128) }
}
