/// The key and range end that a command's arguments name.
struct KeyRange {
    var key: [UInt8]
    var end: [UInt8] = []

    /// - Parameter isPrefix, isFromKey: `--prefix` and `--from-key`.
    /// - Throws: ``CommandFailure`` for what goes not together.
    init(_ arguments: [String], isPrefix: Bool, isFromKey: Bool) throws {
        if isPrefix && isFromKey {
            throw CommandFailure.badArguments(
                "`--prefix` and `--from-key` cannot be set at the same time, choose one"
            )
        }
        key = Array((arguments.first ?? "").utf8)
        if arguments.count > 1 {
            if isPrefix || isFromKey {
                throw CommandFailure.badArguments(
                    "too many arguments, only accept one argument when `--prefix` or `--from-key` is set"
                )
            }
            end = Array(arguments[1].utf8)
        }
        guard isPrefix || isFromKey else { return }
        if isFromKey || key.isEmpty {
            end = [0]
            if key.isEmpty { key = [0] }
        } else {
            end = Self.prefixEnd(key)
        }
    }

    /// The first key after all that begin with a prefix.
    static func prefixEnd(_ prefix: [UInt8]) -> [UInt8] {
        var end = prefix
        while let last = end.popLast() {
            if last < 0xff { return end + [last + 1] }
        }
        return [0]
    }
}
