/// A range request carried out over something that can scan and count: a snapshot, or a batch with its own changes.
///
/// Source: etcd `server/etcdserver/txn/range.go`.
struct RangeExecution {
    typealias Scan = (
        _ range: KeyRange, _ revision: Int64?, _ values: Bool, _ expecting: Int, _ body: (RowView) throws -> Bool
    ) throws -> Void
    typealias Count = (_ range: KeyRange, _ revision: Int64?) throws -> Int64

    var currentRevision: Int64
    var compactedRevision: Int64
    var scan: Scan
    var count: Count
    /// What the reply comes to, with what was there before.
    var reply = ReplySize()
    /// Bytes of rows after which a list in the order of keys is cut, as by a limit.
    var mostBytes = Int.max

    /// Bytes of rows above which those that a limit will leave out are let go of.
    private static let mostHeldBytes = 256 << 20

    /// Refuses revisions that lie ahead or behind the compaction mark. Reading exactly at the mark is allowed.
    static func check(revision: Int64, current: Int64, compacted: Int64) throws(DroverError) {
        if revision > current { throw DroverError(.futureRevision) }
        if revision > 0 && revision < compacted { throw DroverError(.compacted) }
    }

    mutating func collect(_ request: RangeRequest) throws -> RangeResponse {
        try Self.check(revision: request.revision, current: currentRevision, compacted: compactedRevision)
        let at = request.revision <= 0 || request.revision == currentRevision ? nil : request.revision
        var response = RangeResponse(revision: currentRevision)
        if request.range.isEmpty { return response }
        if request.countOnly {
            response.count = try count(request.range, at)
            return response
        }
        // etcd applies the limit before sorting when a target is given without an order; clients see the difference.
        let sorts = !request.hasDefaultOrder
        let stopsEarly = request.limit > 0 && (request.sortOrder == .none || !sorts) && !request.hasRevisionFilter
        let defersValues =
            sorts && request.limit > 0 && !stopsEarly && request.sortTarget != .value && !request.keysOnly
        let values = (!request.keysOnly || request.sortTarget == .value) && !defersValues
        let ceiling = stopsEarly && request.limit < Int64.max ? request.limit + 1 : Int64.max
        // Of what a limit will leave out, no more is held at a time than is shown: its values may be any number of bytes.
        let keepsFirst = request.limit > 0 && !sorts && !stopsEarly
        let prunes = request.limit > 0 && sorts && !stopsEarly && request.sortTarget == .value
        let kept = request.limit > 1 << 40 ? Int.max : Int(request.limit)
        var admitted: Int64 = 0
        var (heldBytes, pruneAt) = (0, Self.mostHeldBytes)
        var seen: Int64 = 0
        var cut = false
        var isFull = false
        let expecting = Int(clamping: request.range.isSingle ? 1 : ceiling)
        try scan(request.range, at, values, expecting) { row in
            seen += 1
            if request.admits(modRevision: row.main, createRevision: row.createRevision) {
                admitted += 1
                if !keepsFirst || response.kvs.count < kept {
                    response.kvs.append(row.keyValue())
                    heldBytes += row.key.count + row.value.count
                    if !prunes { try reply.add(row) }
                }
                if prunes && (response.kvs.count / 2 >= kept || heldBytes > pruneAt) {
                    if response.kvs.count > kept {
                        sort(&response.kvs, request)
                        response.kvs.removeSubrange(kept...)
                    }
                    heldBytes = response.kvs.reduce(0) { $0 + $1.key.count + $1.value.count }
                    // Where what will be shown is that much, it is refused as any other reply.
                    var shown = reply
                    for kv in response.kvs { try shown.add(kv) }
                    // Looked at as often as it doubles.
                    pruneAt = max(Self.mostHeldBytes, 2 * heldBytes)
                }
            }
            if seen >= ceiling {
                cut = true
                return false
            }
            if reply.bytes >= mostBytes {
                isFull = true
                return false
            }
            return true
        }
        response.count = cut || isFull ? try count(request.range, at) : seen
        response.more = isFull && response.count > seen
        if sorts { sort(&response.kvs, request) }
        if request.limit > 0 && admitted > request.limit {
            response.kvs.removeLast(response.kvs.count - kept)
            response.more = true
        }
        if prunes { for kv in response.kvs { try reply.add(kv) } }
        if defersValues {
            for index in response.kvs.indices {
                let single = KeyRange(lower: response.kvs[index].key, upper: .single)
                try scan(single, at, true, 1) { row in
                    response.kvs[index].value = Bytes(row.value)
                    try reply.add(row)
                    return false
                }
            }
        }
        if request.keysOnly && request.sortTarget == .value {
            for index in response.kvs.indices { response.kvs[index].value = [] }
        }
        return response
    }

    private func sort(_ kvs: inout [KeyValue], _ request: RangeRequest) {
        let descending = request.sortOrder == .descend
        func order(_ precedes: (KeyValue, KeyValue) -> Bool) {
            kvs.sort { descending ? precedes($1, $0) : precedes($0, $1) }
        }
        switch request.sortTarget {
        case .key: order { Bytes.precedes($0.key, $1.key) }
        case .version: order { $0.version < $1.version }
        case .create: order { $0.createRevision < $1.createRevision }
        case .mod: order { $0.modRevision < $1.modRevision }
        case .value: order { Bytes.precedes($0.value, $1.value) }
        }
    }
}
