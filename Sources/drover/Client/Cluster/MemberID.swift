/// Members' numbers, which people write in hexadecimal.
enum MemberID {
    /// - Throws: ``CommandFailure`` when it is no number.
    static func parsed(_ text: String) throws -> UInt64 {
        guard let id = UInt64(text, radix: 16) else {
            throw CommandFailure.badArguments("bad member ID arg (\(text)), expecting ID in Hex")
        }
        return id
    }

    static func text(_ id: UInt64) -> String { String(id, radix: 16) }
}
