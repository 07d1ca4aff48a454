/// A call that was not answered, or with an error.
struct OperationFailure: Error, Sendable, CustomStringConvertible {
    var description: String
}
