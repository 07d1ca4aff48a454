/// Why a call failed.
public struct ClientError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The status code of the wire form.
    public var code: Int
    /// The server's text, or what went wrong on the way.
    public var message: String

    /// An error from its parts.
    public init(code: Int, message: String) {
        self.code = code
        self.message = message
    }

    /// The connection is gone or could not be made.
    public static func unavailable(_ message: String) -> ClientError { ClientError(code: 14, message: message) }

    public var description: String { "\(message) (code \(code))" }
}
