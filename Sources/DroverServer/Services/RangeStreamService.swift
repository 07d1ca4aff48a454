import Drover
import EtcdAPI
import NIOCore

/// `etcdserverpb.KV/RangeStream`, of etcd 3.7: a list in parts, each a message of its own.
///
/// Source: etcd `server/etcdserver/v3_server.go`, `api/v3rpc/key.go`.
enum RangeStreamService {
    private static let firstKeys: Int64 = 10
    private static let mostKeys: Int64 = 10_000

    static func call(_ stream: ServerStream) -> TaskSession {
        let (store, header) = (stream.context.store, stream.context.header)
        let partBytes = stream.context.configuration.limits.requestBytes
        return TaskSession(stream) { message, send in
            let request = try message.withUnsafeReadableBytes { try RequestDecoder.range($0) }
            try check(request)
            try store.validator.check(request)
            if request.countOnly || request.range.isEmpty {
                try await send(Self.part(try await store.range(request), header, isLast: true))
                return nil
            }
            var left = request.limit > 0 ? request.limit : Int64.max
            var part = request
            part.limit = min(left, firstKeys)
            var total: (count: Int64, revision: Int64)?
            while true {
                var reply = try await store.range(part, upTo: partBytes)
                if total == nil {
                    total = (reply.count, reply.revision)
                    // What comes later is read as it was now.
                    if part.revision <= 0 { part.revision = reply.revision }
                }
                left -= Int64(reply.kvs.count)
                let isLast = !reply.more || left <= 0
                let last = reply.kvs.last
                let bytes = reply.kvs.reduce(0) { $0 + $1.key.count + $1.value.count + 32 }
                reply.count = total!.count
                reply.revision = total!.revision
                try await send(Self.part(reply, header, isLast: isLast))
                guard !isLast, let last else { return nil }
                part.range.lower = last.key.successor
                // Towards the most bytes that a message should have.
                let next =
                    bytes * 2 <= partBytes ? part.limit * 2 : max(1, bytes > partBytes ? part.limit / 2 : part.limit)
                part.limit = min(left, min(next, mostKeys))
            }
        }
    }

    private static func check(_ request: RangeRequest) throws(DroverError) {
        let isNatural = request.sortTarget == .key && request.sortOrder != .descend
        if !isNatural {
            throw DroverError(.init(.unimplemented, "etcdserver: RangeStream does not support custom sort orders"))
        }
        if request.hasRevisionFilter {
            throw DroverError(.init(.unimplemented, "etcdserver: RangeStream does not support revision filters"))
        }
    }

    private static func part(
        _ reply: RangeResponse,
        _ header: ResponseHeader,
        isLast: Bool
    ) -> PBRangeStreamResponse {
        var message = PBRangeResponse()
        if isLast {
            message.header = header.message(reply.revision)
            message.more = reply.more
            message.count = reply.count
        }
        message.kvs = reply.kvs.map { kv in
            var entry = PBKeyValue()
            entry.key = .init(kv.key)
            entry.createRevision = kv.createRevision
            entry.modRevision = kv.modRevision
            entry.version = kv.version
            entry.value = .init(kv.value)
            entry.lease = kv.lease
            return entry
        }
        var response = PBRangeStreamResponse()
        response.rangeResponse = message
        return response
    }
}
