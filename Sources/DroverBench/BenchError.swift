/// Why something cannot be measured.
public struct BenchError: Error, Sendable, CustomStringConvertible {
    /// In words; it holds no value and no password.
    public let description: String

    /// An error from its words.
    public init(_ description: String) { self.description = description }
}
