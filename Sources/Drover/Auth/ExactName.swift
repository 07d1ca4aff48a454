/// The name of a user or role as etcd compares it: byte by byte. Swift's own comparison takes texts for one that only look
/// the same, such as a letter with its accent and the two after each other.
struct ExactName: Sendable, Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: Self, right: Self) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }

    /// Where a name is, or would be, in a list that is in the order of bytes.
    static func place<Element>(
        of name: String,
        in list: [Element],
        _ nameOf: (Element) -> String
    ) -> (place: Int, isThere: Bool) {
        let place = list.partitioningIndex(where: { !nameOf($0).utf8.lexicographicallyPrecedes(name.utf8) })
        return (place, place < list.count && nameOf(list[place]).utf8.elementsEqual(name.utf8))
    }
}
