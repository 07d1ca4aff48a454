/// What a user may do, over all roles: ranges that touch are joined, so that a request over two of them is permitted.
struct UserPermissions: Sendable {
    /// Keys from `lower` up to `upper`; nil is no end.
    private struct Span: Sendable {
        var lower: Bytes
        var upper: Bytes?

        init(_ range: KeyRange) {
            lower = range.lower
            upper = range.exclusiveEnd
        }

        func covers(_ other: Span) -> Bool {
            if Bytes.precedes(other.lower, lower) { return false }
            guard let upper else { return true }
            guard let end = other.upper else { return false }
            return !Bytes.precedes(upper, end)
        }
    }

    let isRoot: Bool
    let roles: Set<ExactName>
    let changedAt: Int64
    private let reads: [Span]
    private let writes: [Span]

    /// How many ranges it holds.
    var ranges: Int { reads.count + writes.count }

    init(_ user: AuthUser, _ roles: [AuthRole]) {
        self.roles = Set(user.roles.map(ExactName.init))
        isRoot = self.roles.contains(ExactName(AuthState.rootRole))
        changedAt = user.changedAt
        let permissions = roles.flatMap(\.permissions)
        reads = Self.joined(permissions.filter { $0.kind != .write })
        writes = Self.joined(permissions.filter { $0.kind != .read })
    }

    private static func joined(_ permissions: [AuthPermission]) -> [Span] {
        let spans = permissions.map { Span($0.range) }.sorted { Bytes.precedes($0.lower, $1.lower) }
        var result: [Span] = []
        for span in spans {
            guard let last = result.last else {
                result.append(span)
                continue
            }
            guard let end = last.upper else { break }
            if Bytes.precedes(end, span.lower) {
                result.append(span)
            } else if span.upper == nil || Bytes.precedes(end, span.upper!) {
                result[result.count - 1].upper = span.upper
            }
        }
        return result
    }

    func mayRead(_ range: KeyRange) -> Bool { isRoot || Self.covers(reads, range) }

    func mayWrite(_ range: KeyRange) -> Bool { isRoot || Self.covers(writes, range) }

    private static func covers(_ spans: [Span], _ range: KeyRange) -> Bool {
        var wanted = Span(range)
        // A range that ends before it begins holds no key; etcd's interval tree looks for its beginning alone.
        if let end = wanted.upper, !Bytes.precedes(wanted.lower, end) {
            wanted = Span(KeyRange(lower: wanted.lower, upper: .single))
        }
        // They neither touch nor overlap: only the last that begins at the wanted key or before it can cover it.
        let next = spans.partitioningIndex(where: { Bytes.precedes(wanted.lower, $0.lower) })
        return next > 0 && spans[next - 1].covers(wanted)
    }
}
