import Drover
import DroverServer
import EtcdAPI
import NIOCore

/// The wire form: requests, replies, events and the heads of HTTP/2 requests.
enum CodecKernels {
    static var all: [Kernel] {
        [
            decode("codec.decode-range", range) { _ = try RequestDecoder.range($0) },
            decode("codec.decode-put", put) { _ = try RequestDecoder.put($0) },
            decode("codec.decode-update", Messages.update) { _ = try RequestDecoder.txn($0) },
            Kernel("codec.encode-list", operations: Fixtures.page) { encodeList() },
            Kernel("codec.encode-event") { encodeEvent() },
            Kernel("codec.decode-head") { decodeHead() },
        ]
    }

    private static func range() throws -> [UInt8] {
        try PBRangeRequest.with {
            $0.key = .init(Fixtures.key(1))
            $0.serializable = true
        }.serializedBytes()
    }

    private static func put() throws -> [UInt8] {
        try PBPutRequest.with {
            $0.key = .init(Fixtures.key(1))
            $0.value = .init(Fixtures.value)
        }.serializedBytes()
    }

    private static func decode(
        _ name: String,
        _ message: @escaping @Sendable () throws -> [UInt8],
        _ body: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) -> Kernel {
        Kernel(name) {
            let bytes = try message()
            return KernelRun { try bytes.withUnsafeBytes(body) }
        }
    }

    private static func encodeList() -> KernelRun {
        let keys = (0..<Fixtures.page).map(Fixtures.keyValue)
        let response = RangeResponse(revision: 50_000, kvs: keys, more: true, count: 100_000)
        let header = ResponseHeader(clusterID: 1 << 60, memberID: 1 << 61)
        let allocator = ByteBufferAllocator()
        return KernelRun {
            var buffer = MessageBuffer.make(allocator, capacity: 640 * 1_024)
            ResponseEncoder.append(response, header, to: &buffer)
            MessageBuffer.seal(&buffer)
        }
    }

    private static func encodeEvent() -> KernelRun {
        let event = Event(kind: .put, kv: Fixtures.keyValue(1), previous: Fixtures.keyValue(1))
        let allocator = ByteBufferAllocator()
        return KernelRun {
            var buffer = allocator.buffer(capacity: ResponseEncoder.watchEventSize(event, withPrevious: true))
            ResponseEncoder.appendWatchEvent(event, withPrevious: true, to: &buffer)
        }
    }

    /// The head of a call whose fields are in the table already, as all but the first of a connection.
    private static func decodeHead() -> KernelRun {
        var decoder = HPACKDecoder()
        let first: [UInt8] =
            [0x83, 0x86, 0x44]
            + literal("/etcdserverpb.KV/Range") + [0x41] + literal("127.0.0.1:2379")
            + [0x5f] + literal("application/grpc") + [0x40] + literal("te") + literal("trailers")
        var head = RequestHead()
        first.withUnsafeBytes { try! decoder.decode($0, into: &head) }
        let later: [UInt8] = [0x83, 0x86, 0x44] + literal("/etcdserverpb.KV/Range") + [0xc0, 0xbf, 0xbe]
        return KernelRun {
            var head = RequestHead()
            try later.withUnsafeBytes { try decoder.decode($0, into: &head) }
        }
    }

    private static func literal(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
}
