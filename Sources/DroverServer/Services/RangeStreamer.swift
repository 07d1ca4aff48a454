import Drover
import EtcdAPI
import NIOCore

/// Answers a list of any size in bounded memory.
///
/// The length of a message comes before it. A list that fits a buffer, or a page that fits a few, is read in one go; of a
/// longer one the rest is measured by a pass over lengths alone, in the same snapshot, and then read piece by piece at the
/// same revision as the client takes it. No snapshot is held between pieces: the list at a revision is the same bytes
/// whenever it is read, until compaction passes it.
final class RangeStreamer: @unchecked Sendable {
    // What the reader threads use, one step at a time; the loop starts the next step only after the last has ended.
    private var request: RangeRequest
    private var revision: Int64 = 0
    private var lastKey: Bytes = []
    private var rowsLeft = Int64.max
    /// What a page may come to that is read in one go.
    private var mostAtOnce = 0
    /// What a row came to in the first piece, for drivers that fetch rows ahead.
    private var averageRowBytes = 256
    private var tail = ByteBuffer()
    /// The keys that a limit leaves for the next page, and the snapshot that counted them; nil when nothing is left.
    private var left: (count: Int64, meta: StoreMeta)?

    private let stream: NIOLoopBound<ServerStream>
    private let caller: Caller
    private let context: LoopContext
    private let end = CallEnd()
    private let allocator: ByteBufferAllocator
    // Used on the loop alone.
    private var inFlight = 0
    private var isReading = false
    private var isFinished = false
    private var hasLeftGate = false

    /// Whether a reply that needs no other form may leave in several buffers. One buffer's memory is doubled as it grows:
    /// a page that is a little longer than half a megabyte would hold a whole one.
    private let splits: Bool

    private struct Piece: Sendable {
        var buffers: [ByteBuffer]
        /// Whether the reply is complete with it.
        var isLast: Bool
        /// Whether the whole reply is this one piece.
        var isOnly: Bool
    }

    /// Whether nobody waits for the list any more.
    var isOver: Bool { stream.value.ended }

    init(_ stream: ServerStream, _ request: RangeRequest) {
        self.stream = NIOLoopBound(stream, eventLoop: stream.context.loop)
        self.request = request
        caller = stream.caller
        context = stream.context
        allocator = stream.allocator
        if case .identity = stream.encoding { splits = stream.form == .wire } else { splits = false }
        stream.end = end
    }

    func start() {
        context.begin(self, connection)
    }

    /// The gate has let it in.
    func begin() {
        if stream.value.ended { return leaveGate() }
        mostAtOnce = context.store.limits.listBufferBytes
        // The gate bounds how many are being read: what they come to in one go is bounded with that.
        if splits { mostAtOnce = max(mostAtOnce, context.store.limits.listPageBytes) }
        read { try self.first($0) }
    }

    private func leaveGate() {
        if hasLeftGate { return }
        hasLeftGate = true
        context.listGate.hasRead(connection)
        context.beginWaitingLists(connection)
    }

    private var connection: any ListConnection {
        switch stream.value.transport {
        case .http2(let connection, _): connection
        case .http1(let connection): connection
        }
    }

    private func read(_ step: @escaping @Sendable (any DriverReader) throws -> Piece) {
        isReading = true
        let refused = context.store.read(bytes: request.range.byteCount) { reader in
            // Its client has left, or waits no longer.
            let result = self.end.isSet ? .failure(CancellationError()) : Result { try step(reader) }
            reader.endSnapshot()
            self.context.loop.execute {
                self.isReading = false
                self.take(result)
                self.context.flush()
            }
        }
        if let refused {
            isReading = false
            stream.value.fail(refused)
            leaveGate()
        }
    }

    private func take(_ result: Result<Piece, any Error>) {
        defer { leaveGate() }
        let stream = stream.value
        if stream.ended { return }
        switch result {
        case .failure(let error):
            stream.fail(error)
        case .success(let piece):
            if piece.isOnly {
                if piece.buffers.count == 1 { return stream.reply(piece.buffers[0]) }
                for buffer in piece.buffers { stream.sendRaw(buffer, promise: nil) }
                return stream.finish()
            }
            isFinished = piece.isLast
            // Counted before the first is sent, which may be at once.
            inFlight += piece.buffers.reduce(0) { $0 + $1.readableBytes }
            for buffer in piece.buffers {
                let bytes = buffer.readableBytes
                let promise = context.loop.makePromise(of: Void.self)
                promise.futureResult.whenComplete { _ in
                    self.inFlight -= bytes
                    self.goOn()
                }
                stream.sendRaw(buffer, promise: promise)
            }
            goOn()
        }
    }

    private func goOn() {
        let stream = stream.value
        if stream.ended || isReading { return }
        if isFinished {
            if inFlight == 0 { stream.finish() }
            return
        }
        if inFlight < context.configuration.limits.listInFlightBytes { read { try self.next($0) } }
    }

    // MARK: - On a reader's thread

    private func first(_ reader: any DriverReader) throws -> Piece {
        let store = context.store
        let limits = store.limits
        let meta = try reader.beginSnapshot()
        store.notice(meta)
        try store.authorize(meta, reader) { try $0.checkRead(request.range, caller) }
        if request.revision > meta.revision { throw DroverError(.futureRevision) }
        if request.revision > 0 && request.revision < meta.compacted { throw DroverError(.compacted) }
        revision = request.revision <= 0 ? meta.revision : request.revision
        let at = revision == meta.revision ? nil : revision
        let limit = request.limit > 0 ? request.limit : Int64.max
        let values = !request.keysOnly

        var buffer = MessageBuffer.make(allocator, capacity: 32 << 10)
        var before: [ByteBuffer] = []
        var bytesBefore = 0
        ResponseEncoder.appendHeader(context.header, meta.revision, to: &buffer)
        var rows: Int64 = 0
        var more = false
        var full = false
        var mostBytes = limits.listBufferBytes
        if !request.range.isEmpty {
            try reader.scan(
                request.range,
                at: at,
                values: values,
                expecting: Int(clamping: limit < .max ? limit + 1 : .max)
            ) { row in
                if rows == limit {
                    more = true
                    return false
                }
                if bytesBefore + buffer.readableBytes >= mostBytes {
                    full = true
                    return false
                }
                if splits && buffer.readableBytes > limits.listChunkBytes / 2 {
                    let needed = ResponseEncoder.rangeRowSize(row, values: values)
                    if buffer.writableBytes < needed && buffer.readableBytes + needed > limits.listChunkBytes {
                        if end.isSet { throw CancellationError() }
                        bytesBefore += buffer.readableBytes
                        before.append(buffer)
                        buffer = self.allocator.buffer(capacity: 32 << 10)
                    }
                }
                rows += 1
                ResponseEncoder.appendRangeRow(row, to: &buffer)
                let bytes = bytesBefore + buffer.readableBytes
                // Each piece is a snapshot of its own, and a pass over lengths comes before the second: of a page that is
                // hardly longer than the first, they would be a sixth of what it costs.
                if bytes >= mostBytes && bytes / Int(rows) <= mostAtOnce / Int(clamping: limit) {
                    mostBytes = mostAtOnce
                }
                if rows == limit || bytes >= mostBytes { self.lastKey = Bytes(row.key) }
                return true
            }
        }
        let headerBytes = ResponseEncoder.headerSize(context.header, meta.revision)
        let firstBytes = bytesBefore + buffer.readableBytes - MessageBuffer.prefixBytes - headerBytes
        var total = headerBytes + firstBytes
        var measured: Int64 = 0
        if full {
            let measure = try measure(at: at, after: ListMeasure(rows: rows, bytes: firstBytes, more: false), reader)
            measured = measure.rows - rows
            total = headerBytes + measure.bytes
            more = measure.more
        }
        let shown = rows + measured
        let count = more ? try store.count(request.range, at: at, meta: meta, reader) : shown
        if more && !full {
            store.learnContinuation(request, after: lastKey, meta: meta, left: count - shown)
        }
        tail = allocator.buffer(capacity: 16)
        ResponseEncoder.appendRangeTail(more: more, count: count, to: &tail)
        total += tail.readableBytes
        if total > Int(Int32.max) {
            throw DroverError(
                .tooManyRequests,
                message: "drover: the list is longer than one message can be (2 GiB); ask for it in pages"
            )
        }
        if full {
            rowsLeft = measured
            averageRowBytes = max(16, firstBytes / Int(max(1, rows)))
            if more { left = (count - shown, meta) }
        } else {
            buffer.writeBuffer(&tail)
        }
        before.append(buffer)
        MessageBuffer.seal(&before[0], length: total)
        return Piece(buffers: before, isLast: !full, isOnly: !full)
    }

    /// Rows and bytes of the whole list, from a pass over the lengths of what comes after the first rows.
    private func measure(
        at: Int64?,
        after first: ListMeasure,
        _ reader: any DriverReader
    ) throws -> ListMeasure {
        let subject = ListMeasure.Subject(request, revision: revision)
        if let known = context.store.measure(of: subject) { return known }
        let limit = request.limit > 0 ? request.limit : Int64.max
        var measure = first
        let rest = KeyRange(lower: lastKey.successor, upper: upperBound)
        try reader.scan(rest, at: at, values: false, expecting: .max) { row in
            if measure.rows == limit {
                measure.more = true
                return false
            }
            if end.isSet { throw CancellationError() }
            measure.rows += 1
            measure.bytes += ResponseEncoder.rangeRowSize(row, values: !request.keysOnly)
            return true
        }
        context.store.learn(measure, of: subject)
        return measure
    }

    private var upperBound: KeyRange.Upper {
        request.range.exclusiveEnd.map(KeyRange.Upper.before) ?? .unbounded
    }

    private func next(_ reader: any DriverReader) throws -> Piece {
        let limit = context.store.limits.listChunkBytes
        let meta = try reader.beginSnapshot()
        try context.store.authorize(meta, reader) { try $0.checkRead(request.range, caller) }
        if revision < meta.compacted { throw DroverError(.compacted) }
        var buffer = allocator.buffer(capacity: limit)
        var isFull = false
        let rest = KeyRange(lower: lastKey.successor, upper: upperBound)
        try reader.scan(
            rest,
            at: revision == meta.revision ? nil : revision,
            values: !request.keysOnly,
            expecting: min(Int(clamping: rowsLeft), limit / averageRowBytes + 2)
        ) { row in
            if rowsLeft == 0 { return false }
            rowsLeft -= 1
            ResponseEncoder.appendRangeRow(row, to: &buffer)
            // The next row would hardly fit.
            isFull = buffer.readableBytes + averageRowBytes > limit
            if isFull || rowsLeft == 0 {
                lastKey = Bytes(row.key)
                return false
            }
            return true
        }
        if rowsLeft == 0 {
            buffer.writeBuffer(&tail)
            if let left {
                context.store.learnContinuation(request, after: lastKey, meta: left.meta, left: left.count)
            }
        }
        if rowsLeft > 0 && !isFull {
            throw DroverError(.internalFault, message: "drover: a list at a revision changed while it was read")
        }
        return Piece(buffers: [buffer], isLast: rowsLeft == 0, isOnly: false)
    }
}
