/// Leases' numbers, which people write in hexadecimal.
enum LeaseID {
    /// - Throws: ``CommandFailure`` when it is no number.
    static func parsed(_ text: String) throws -> Int64 {
        guard let id = Int64(text, radix: 16) else {
            throw CommandFailure.badArguments("bad lease ID (\(text)), expecting ID in Hex")
        }
        return id
    }

    static func text(_ id: Int64) -> String { TextBuffer.padded(id, 16) }
}
