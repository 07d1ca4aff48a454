/// Changing keys.
extension TxnEvaluator {
    private mutating func record(_ i: Int, value: Bytes, state: KeyState) {
        let entry = entries[i]
        undo.append(Undo(index: i, now: entry.now, value: entry.value, isDirty: entry.isDirty))
        events.append(
            .init(
                key: entry.key,
                value: value,
                main: state.main,
                sub: state.sub,
                createRevision: state.createRevision,
                version: state.version,
                lease: state.lease,
                previousMain: entry.now?.main ?? 0,
                previousSub: entry.now?.sub ?? 0
            )
        )
        entries[i].now = state
        entries[i].value = value
        if !entry.isDirty {
            entries[i].isDirty = true
            dirty.append(i)
        }
        subs += 1
    }

    mutating func put(_ request: PutRequest) throws -> PutResponse {
        if request.lease != 0 {
            if try !hasLease(request.lease) { throw DroverError(.leaseNotFound) }
            // Another's key: who was allowed before may not be any more.
            if let holder = holders[request.lease], holder != caller { holders[request.lease] = nil }
        }
        let i = try entryIndex(request.key)
        let old = entries[i].live
        var value = request.value
        var lease = request.lease
        if request.ignoresValue || request.ignoresLease {
            guard let old else { throw DroverError(.keyNotFound) }
            if request.ignoresValue {
                value = try self.value(ofEntry: i)
                loadedBytes += value.count
            }
            if request.ignoresLease { lease = old.lease }
        }
        let previous = request.wantsPrevious ? try keyValue(ofEntry: i) : nil
        if let previous { try reply.add(previous) }
        let main = revision + 1
        record(
            i,
            value: value,
            state: KeyState(
                main: main,
                sub: subs,
                createRevision: old?.createRevision ?? main,
                version: (old?.version ?? 0) + 1,
                lease: lease,
                valueLength: value.count
            )
        )
        return PutResponse(revision: main, previous: previous)
    }

    mutating func delete(_ request: DeleteRangeRequest) throws -> DeleteRangeResponse {
        var previous: [KeyValue] = []
        var found: [Int] = []
        if request.range.isSingle {
            let i = try entryIndex(request.range.lower)
            if entries[i].live != nil {
                found = [i]
                if request.wantsPrevious { previous = [try keyValue(ofEntry: i)!] }
            }
        } else {
            var rows: [(key: Bytes, state: KeyState)] = []
            var size = reply
            try scanNewest(request.range, values: request.wantsPrevious) { row in
                rows.append((Bytes(row.key), row.state()))
                if request.wantsPrevious {
                    previous.append(row.keyValue())
                    try size.add(row)
                }
                return true
            }
            reply = size
            found.reserveCapacity(rows.count)
            for (place, (key, state)) in rows.enumerated() {
                found.append(index[key] ?? add(key, state))
                try stayActive(place)
            }
        }
        for (place, i) in found.enumerated() {
            erase(i)
            try stayActive(place)
        }
        return DeleteRangeResponse(
            revision: visibleRevision,
            deleted: Int64(found.count),
            previous: previous
        )
    }

    /// Reminds the database of the batch every few thousand keys.
    private func stayActive(_ place: Int) throws { if place & 0x1fff == 0x1fff { try view.stayActive() } }

    private mutating func erase(_ i: Int) {
        record(i, value: [], state: KeyState(main: revision + 1, sub: subs))
    }

    /// The keys of a lease, with what the batch has changed, in key order.
    func keys(attachedTo lease: Int64) throws -> [Bytes] {
        // No lease, which most keys have.
        if lease == 0 { return [] }
        var keys = try attached[lease] ?? view.keys(attachedTo: lease)
        if !dirty.isEmpty {
            keys.removeAll { key in index[key].map { entries[$0].isDirty } ?? false }
            for i in dirty where entries[i].live?.lease == lease { keys.append(entries[i].key) }
            keys.sort(by: Bytes.precedes)
        }
        return keys
    }

    mutating func deleteKeys(attachedTo lease: Int64) throws {
        let keys = try keys(attachedTo: lease)
        if isShared && keys.count > sharedRows { throw NeedsOwnBatch() }
        rowsTouched += keys.count
        // Together: a round trip for each of a hundred thousand keys would take minutes.
        try preload(keys)
        for (place, key) in keys.enumerated() {
            erase(try entryIndex(key))
            try stayActive(place)
        }
    }
}
