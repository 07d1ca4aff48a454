/// The kinds of calls, and of other things that are timed.
enum OperationKind: Int, CaseIterable, Sendable {
    case put, get, page, list, count, delete, create, update, remove, fill, grant, keepAlive, revoke, compact, lock,
        unlock
    /// A guarded write that was not made, since somebody else had changed the key.
    case conflict
    /// From the beginning of a put to the event.
    case delivery
    /// From the beginning of a watch of the past until it has everything.
    case catchUp
    /// From the start of a server until its first answer.
    case recover

    /// As reports have it.
    var name: String { self == .catchUp ? "catch-up" : "\(self)" }

    /// Whether calls of that name are calls of a client, and not what watches are told.
    static func isCall(_ name: String) -> Bool { !notCalls.contains(name) }
    private static let notCalls: Set<String> = [delivery.name, catchUp.name, recover.name]
}
