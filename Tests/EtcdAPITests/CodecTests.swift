import Drover
import EtcdAPI
import Foundation
import NIOCore
import SwiftProtobuf
import TestSupport
import Testing

@Suite("the hand-tuned codec equals the generated one", .timeLimit(.minutes(2)))
struct CodecTests {
    private static let rounds = 2_000
    private let header = ResponseHeader(clusterID: 0xffff_ffff_ffff_fff0, memberID: 12)

    private func decode<R>(_ message: some Message, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        var bytes: [UInt8] = try message.serializedBytes()
        // Fields nobody knows, of every type, are skipped.
        bytes += [0xf8, 0x7f, 0x01, 0xf9, 0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 0xfa, 0x7f, 0x02, 9, 9, 0xfd, 0x7f, 1, 2, 3, 4]
        return try bytes.withUnsafeBytes(body)
    }

    private func expect(_ request: RangeRequest, equals message: PBRangeRequest) {
        #expect(request.range == KeyRange(key: Bytes(message.key), rangeEnd: Bytes(message.rangeEnd)))
        #expect(request.limit == message.limit && request.revision == message.revision)
        #expect(request.sortOrder.rawValue == message.sortOrder.rawValue)
        #expect(request.sortTarget.rawValue == message.sortTarget.rawValue)
        #expect(request.serializable == message.serializable && request.keysOnly == message.keysOnly)
        #expect(request.countOnly == message.countOnly)
        #expect(request.minModRevision == message.minModRevision && request.maxModRevision == message.maxModRevision)
        #expect(request.minCreateRevision == message.minCreateRevision)
        #expect(request.maxCreateRevision == message.maxCreateRevision)
    }

    private func expect(_ request: PutRequest, equals message: PBPutRequest) {
        let expected = PutRequest(
            key: Bytes(message.key),
            value: Bytes(message.value),
            lease: message.lease,
            wantsPrevious: message.prevKv,
            ignoresValue: message.ignoreValue,
            ignoresLease: message.ignoreLease
        )
        #expect(request == expected)
    }

    private func expect(_ request: TxnRequest, equals message: PBTxnRequest) {
        #expect(request.compares.count == message.compare.count)
        for (compare, expected) in zip(request.compares, message.compare) {
            #expect(compare.range == KeyRange(key: Bytes(expected.key), rangeEnd: Bytes(expected.rangeEnd)))
            #expect(compare.relation.rawValue == expected.result.rawValue)
            switch compare.target {
            case .version(let v): #expect(expected.target == .version && expected.version == v)
            case .createRevision(let v): #expect(expected.target == .create && expected.createRevision == v)
            case .modRevision(let v): #expect(expected.target == .mod && expected.modRevision == v)
            case .value(let v): #expect(expected.target == .value && Bytes(expected.value) == v)
            case .lease(let v): #expect(expected.target == .lease && expected.lease == v)
            case .unknown: Issue.record("a known target was not understood")
            }
        }
        for (operations, expected) in [(request.success, message.success), (request.failure, message.failure)] {
            #expect(operations.count == expected.count)
            for (operation, expected) in zip(operations, expected) {
                switch (operation, expected.request) {
                case (.range(let a), .requestRange(let b)): expect(a, equals: b)
                case (.put(let a), .requestPut(let b)): expect(a, equals: b)
                case (.deleteRange(let a), .requestDeleteRange(let b)):
                    #expect(a.range == KeyRange(key: Bytes(b.key), rangeEnd: Bytes(b.rangeEnd)))
                    #expect(a.wantsPrevious == b.prevKv)
                case (.txn(let a), .requestTxn(let b)): expect(a, equals: b)
                default: Issue.record("another kind of operation was decoded")
                }
            }
        }
    }

    @Test func requests() throws {
        let seed = SeededGenerator.seed()
        var random = RandomMessages(generator: SeededGenerator(seed: seed))
        for _ in 0..<Self.rounds {
            let range = random.range()
            expect(try decode(range) { try RequestDecoder.range($0) }, equals: range)
            let put = random.put()
            expect(try decode(put) { try RequestDecoder.put($0) }, equals: put)
            let txn = random.txn()
            expect(try decode(txn) { try RequestDecoder.txn($0) }, equals: txn)
            var watch = PBWatchRequest()
            watch.createRequest = random.watchCreate()
            let create = watch.createRequest
            guard case .create(let request, let fragments)? = try decode(watch, { try RequestDecoder.watch($0) }) else {
                Issue.record("no create was decoded, seed \(seed)")
                continue
            }
            let key = create.key.isEmpty ? [0] : Bytes(create.key)
            #expect(request.range == KeyRange(key: key, rangeEnd: Bytes(create.rangeEnd)))
            #expect(request.startRevision == create.startRevision && request.id == create.watchID)
            #expect(request.wantsPrevious == create.prevKv && request.wantsProgress == create.progressNotify)
            #expect(request.skipsPuts == create.filters.contains(.noput))
            #expect(request.skipsDeletions == create.filters.contains(.nodelete))
            #expect(fragments == create.fragment)
        }
    }

    private func model(_ kv: PBKeyValue) -> KeyValue {
        KeyValue(
            key: Bytes(kv.key),
            value: Bytes(kv.value),
            createRevision: kv.createRevision,
            modRevision: kv.modRevision,
            version: kv.version,
            lease: kv.lease
        )
    }

    @Test func replies() throws {
        var random = RandomMessages(generator: SeededGenerator(seed: SeededGenerator.seed()))
        for _ in 0..<Self.rounds {
            let revision = random.int()
            let kvs = (0..<Int.random(in: 0..<4)).map { _ in random.kv() }
            var range = PBRangeResponse()
            range.header = header.message(revision)
            range.kvs = kvs
            range.more = random.flag()
            range.count = random.int()
            let response = RangeResponse(
                revision: revision,
                kvs: kvs.map(model),
                more: range.more,
                count: range.count
            )
            var buffer = ByteBuffer()
            ResponseEncoder.append(response, header, to: &buffer)
            #expect(try PBRangeResponse(serializedBytes: Array(buffer.readableBytesView)) == range)

            var rows = ByteBuffer()
            ResponseEncoder.appendHeader(header, revision, to: &rows)
            for kv in response.kvs {
                kv.key.withUnsafeBytes { key in
                    kv.value.withUnsafeBytes { value in
                        let row = RowView(
                            key: key,
                            value: value,
                            valueLength: value.count,
                            main: kv.modRevision,
                            sub: 0,
                            createRevision: kv.createRevision,
                            version: kv.version,
                            lease: kv.lease
                        )
                        let before = rows.readableBytes
                        ResponseEncoder.appendRangeRow(row, to: &rows)
                        #expect(rows.readableBytes - before == ResponseEncoder.rangeRowSize(row, values: true))
                    }
                }
            }
            ResponseEncoder.appendRangeTail(more: range.more, count: range.count, to: &rows)
            #expect(rows == buffer)

            var inner = PBRangeResponse()
            inner.header.revision = revision
            inner.kvs = kvs
            var txn = PBTxnResponse()
            txn.header = header.message(revision)
            txn.succeeded = random.flag()
            var operation = PBResponseOp()
            operation.responseRange = inner
            var nested = PBTxnResponse()
            nested.header = PBResponseHeader()
            nested.responses = [operation]
            var nestedOperation = PBResponseOp()
            nestedOperation.responseTxn = nested
            txn.responses = [operation, nestedOperation]
            let innerModel = RangeResponse(revision: revision, kvs: kvs.map(model))
            let txnModel = TxnResponse(
                revision: revision,
                succeeded: txn.succeeded,
                responses: [.range(innerModel), .txn(TxnResponse(succeeded: false, responses: [.range(innerModel)]))]
            )
            var txnBuffer = ByteBuffer()
            ResponseEncoder.append(txnModel, header, to: &txnBuffer)
            #expect(try PBTxnResponse(serializedBytes: Array(txnBuffer.readableBytesView)) == txn)

            var event = PBEvent()
            event.kv = random.kv()
            event.type = random.flag() ? .delete : .put
            event.prevKv = random.kv()
            var watch = PBWatchResponse()
            watch.header = header.message(revision)
            watch.watchID = random.int()
            watch.cancelReason = "ä reason"
            watch.canceled = random.flag()
            watch.compactRevision = random.int()
            watch.events = [event]
            var watchBuffer = ByteBuffer()
            ResponseEncoder.appendWatch(
                header,
                revision: revision,
                id: watch.watchID,
                cancelled: watch.canceled,
                compactRevision: watch.compactRevision,
                reason: watch.cancelReason,
                to: &watchBuffer
            )
            let eventModel = Event(
                kind: event.type == .delete ? .delete : .put,
                kv: model(event.kv),
                previous: model(event.prevKv)
            )
            let before = watchBuffer.readableBytes
            ResponseEncoder.appendWatchEvent(eventModel, withPrevious: true, to: &watchBuffer)
            let size = ResponseEncoder.watchEventSize(eventModel, withPrevious: true)
            #expect(watchBuffer.readableBytes - before == size)
            #expect(try PBWatchResponse(serializedBytes: Array(watchBuffer.readableBytesView)) == watch)
        }
    }

    @Test("cut and hostile messages are errors, never crashes")
    func hostile() throws {
        var random = RandomMessages(generator: SeededGenerator(seed: SeededGenerator.seed()))
        for _ in 0..<Self.rounds {
            var bytes: [UInt8] = try random.txn().serializedBytes()
            if bytes.isEmpty { continue }
            if random.flag() { bytes.removeLast(Int.random(in: 0..<bytes.count)) }
            for _ in 0..<3 where !bytes.isEmpty { bytes[Int.random(in: 0..<bytes.count)] = UInt8.random(in: 0...255) }
            bytes.withUnsafeBytes { memory in
                _ = try? RequestDecoder.txn(memory)
                _ = try? RequestDecoder.range(memory)
                _ = try? RequestDecoder.put(memory)
                _ = try? RequestDecoder.watch(memory)
                _ = try? RequestDecoder.deleteRange(memory)
                _ = try? RequestDecoder.leaseKeepAlive(memory)
            }
        }
        // Transactions nested a thousand deep.
        var deep: [UInt8] = []
        for _ in 0..<1_000 {
            var operation: [UInt8] = [0x22] + varint(deep.count)
            operation += deep
            deep = [0x12] + varint(operation.count) + operation
        }
        #expect(throws: WireError.self) { try deep.withUnsafeBytes { try RequestDecoder.txn($0) } }
        for length: [UInt8] in [[0x0a, 0xff], [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f], [0x80], [0x00, 0x00]] {
            #expect(throws: WireError.self) { try length.withUnsafeBytes { try RequestDecoder.put($0) } }
        }
    }

    private func varint(_ value: Int) -> [UInt8] {
        var value = value
        var bytes: [UInt8] = []
        while value > 127 {
            bytes.append(UInt8(value & 127) | 128)
            value >>= 7
        }
        return bytes + [UInt8(value)]
    }

    @Test("a status text survives its encoding")
    func statusText() {
        #expect(CallStatus(code: 3, message: "a b").encodedMessage == "a b")
        #expect(CallStatus(code: 3, message: "50% ä\n").encodedMessage == "50%25 %C3%A4%0A")
    }
}
