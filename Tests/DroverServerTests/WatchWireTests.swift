import DroverClient
import EtcdAPI
import Foundation
import NIOCore
import TestSupport
import Testing

/// What etcd's watch stream answers to each kind of request, over the wire. The rows are those of etcd's behaviour.
@Suite("the watch stream, request by request", .serialized, .timeLimit(.minutes(2)))
struct WatchWireTests {
    /// A stream whose answers are read one by one.
    private final class Stream {
        private let call: EtcdCall
        private var messages: EtcdCall.Messages.AsyncIterator

        init(_ connection: EtcdConnection) async throws {
            call = try await connection.open("/etcdserverpb.Watch/Watch")
            messages = call.messages.makeAsyncIterator()
        }

        func send(_ configure: (inout PBWatchRequest) -> Void) async throws {
            var request = PBWatchRequest()
            configure(&request)
            try await call.send(request)
        }

        func next() async throws -> PBWatchResponse {
            guard let message = try await messages.next() else { throw ClientError.unavailable("the stream ended") }
            return try PBWatchResponse(serializedBytes: Array(message.readableBytesView))
        }

        /// Makes a watch and returns the first answer.
        func create(_ configure: (inout PBWatchCreateRequest) -> Void) async throws -> PBWatchResponse {
            try await send { configure(&$0.createRequest) }
            return try await next()
        }
    }

    private func put(_ connection: EtcdConnection, _ key: String) async throws -> Int64 {
        var request = PBPutRequest()
        request.key = Data(key.utf8)
        let reply: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request)
        return reply.header.revision
    }

    @Test("ids: the stream's own from 0, the client's as given, one twice is refused")
    func identifiers() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let stream = try await Stream(connection)
            for id in 0..<2 {
                let created = try await stream.create { $0.key = Data("a".utf8) }
                #expect(created.created && !created.canceled && created.watchID == Int64(id))
                #expect(created.header.revision == 1)
            }
            let chosen = try await stream.create {
                $0.key = Data("a".utf8)
                $0.watchID = 77
            }
            #expect(chosen.created && chosen.watchID == 77)
            let twice = try await stream.create {
                $0.key = Data("b".utf8)
                $0.watchID = 77
            }
            #expect(twice.created && twice.canceled && twice.watchID == -1)
            #expect(twice.cancelReason == "mvcc: duplicate watch ID provided on the WatchStream")
            await connection.close()
        }
    }

    @Test("ranges: none at all, an open end, and every key")
    func ranges() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let stream = try await Stream(connection)
            let empty = try await stream.create {
                $0.key = Data("b".utf8)
                $0.rangeEnd = Data("a".utf8)
            }
            #expect(empty.created && empty.canceled && empty.watchID == -1)
            #expect(empty.cancelReason == "mvcc: watcher range is empty")
            let open = try await stream.create {
                $0.key = Data("m".utf8)
                $0.rangeEnd = Data([0])
            }
            _ = try await put(connection, "a")
            let revision = try await put(connection, "z")
            let events = try await stream.next()
            #expect(events.watchID == open.watchID && events.events.map(\.kv.modRevision) == [revision])
            // An empty key with an open end is every key.
            let all = try await Stream(connection)
            _ = try await all.create { $0.rangeEnd = Data([0]) }
            _ = try await put(connection, "0")
            #expect(try await all.next().events.count == 1)
            await connection.close()
        }
    }

    @Test("starts: negative, compacted, at the compaction mark, and in the future")
    func starts() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            for _ in 0..<5 { _ = try await put(connection, "k") }
            var compaction = PBCompactionRequest()
            compaction.revision = 4
            let _: PBCompactionResponse = try await connection.unary("/etcdserverpb.KV/Compact", compaction)
            let stream = try await Stream(connection)
            let negative = try await stream.create {
                $0.key = Data("k".utf8)
                $0.startRevision = -1
            }
            #expect(negative.created && negative.canceled && negative.watchID == -1)
            #expect(negative.cancelReason == "etcdserver: mvcc: required revision has been compacted")
            let old = try await stream.create {
                $0.key = Data("k".utf8)
                $0.startRevision = 2
            }
            #expect(old.created && !old.canceled)
            let gone = try await stream.next()
            #expect(gone.canceled && gone.compactRevision == 4 && gone.watchID == old.watchID)
            let mark = try await stream.create {
                $0.key = Data("k".utf8)
                $0.startRevision = 4
            }
            #expect(mark.created)
            var seen: [Int64] = []
            while seen.count < 3 { seen += try await stream.next().events.map(\.kv.modRevision) }
            #expect(seen == [4, 5, 6])
            let future = try await Stream(connection)
            _ = try await future.create {
                $0.key = Data("k".utf8)
                $0.startRevision = 8
            }
            for _ in 0..<2 { _ = try await put(connection, "k") }
            #expect(try await future.next().events.map(\.kv.modRevision) == [8])
            await connection.close()
        }
    }

    @Test("a cancelled watch is told once, an unknown one not at all, and its events end")
    func cancelling() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let stream = try await Stream(connection)
            let created = try await stream.create { $0.key = Data("c".utf8) }
            try await stream.send { $0.cancelRequest.watchID = 99 }
            try await stream.send { $0.cancelRequest.watchID = created.watchID }
            let cancelled = try await stream.next()
            #expect(cancelled.canceled && !cancelled.created && cancelled.watchID == created.watchID)
            #expect(cancelled.header.revision == 1 && cancelled.compactRevision == 0)
            _ = try await put(connection, "c")
            // Nothing of it comes before the answer to the next request.
            let other = try await stream.create { $0.key = Data("d".utf8) }
            #expect(other.created)
            await connection.close()
        }
    }

    @Test("a progress request is answered once for a stream in step, at the store's revision")
    func progress() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let stream = try await Stream(connection)
            _ = try await stream.create { $0.key = Data("p".utf8) }
            var last: Int64 = 0
            for _ in 0..<3 { last = try await put(connection, "elsewhere") }
            try await stream.send { $0.progressRequest = PBWatchProgressRequest() }
            let told = try await stream.next()
            #expect(told.watchID == -1 && told.events.isEmpty && !told.created && !told.canceled)
            #expect(told.header.revision == last)
            // Events first, when there are some.
            last = try await put(connection, "p")
            try await stream.send { $0.progressRequest = PBWatchProgressRequest() }
            #expect(try await stream.next().events.count == 1)
            #expect(try await stream.next().header.revision == last)
            // Also when the feed learns of a commit and of the request at the same time.
            let writers = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<16 {
                    group.addTask { for _ in 0..<200 { _ = try await self.put(writers, "elsewhere") } }
                }
                for _ in 0..<200 {
                    last = try await put(connection, "p")
                    try await stream.send { $0.progressRequest = PBWatchProgressRequest() }
                    #expect(try await stream.next().events.map(\.kv.modRevision) == [last])
                    #expect(try await stream.next().header.revision >= last)
                }
                try await group.waitForAll()
            }
            await connection.close()
            await writers.close()
        }
    }

    @Test("filters leave out what they name, and a response that is empty then")
    func filters() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let deletions = try await Stream(connection)
            _ = try await deletions.create {
                $0.key = Data("f".utf8)
                $0.filters = [.noput]
            }
            let puts = try await Stream(connection)
            _ = try await puts.create {
                $0.key = Data("f".utf8)
                $0.filters = [.nodelete]
            }
            _ = try await put(connection, "f")
            var delete = PBDeleteRangeRequest()
            delete.key = Data("f".utf8)
            let _: PBDeleteRangeResponse = try await connection.unary("/etcdserverpb.KV/DeleteRange", delete)
            _ = try await put(connection, "f")
            let gone = try await deletions.next()
            #expect(gone.events.map(\.type) == [.delete] && gone.events[0].kv.modRevision == 3)
            // A deletion's key-value has its key and revision alone.
            #expect(gone.events[0].kv.createRevision == 0 && gone.events[0].kv.version == 0)
            var seen: [PBEvent] = []
            while seen.count < 2 { seen += try await puts.next().events }
            #expect(seen.map(\.type) == [.put, .put])
            await connection.close()
        }
    }
}
