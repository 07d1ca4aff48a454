import DroverClient
import EtcdAPI
import Foundation
import NIOCore
import SwiftProtobuf
import TestSupport

/// A run of random calls against two servers.
final class OracleSession {
    private let ours: EtcdConnection
    private let theirs: EtcdConnection
    private var random: SeededGenerator
    private(set) var compared = 0
    private(set) var differences: [String] = []
    private var revision: Int64 = 1
    private var compacted: Int64 = 0
    private var leases: [Int64] = []
    private var nextLease: Int64 = 1_000
    private var watches: [(ours: WatchLog, theirs: WatchLog)] = []

    /// The gateways of both servers, when calls go in the JSON form.
    private let gateways: (ours: GatewayConnection, theirs: GatewayConnection)?

    init(
        ours: EtcdConnection,
        theirs: EtcdConnection,
        gateways: (ours: GatewayConnection, theirs: GatewayConnection)? = nil,
        seed: UInt64
    ) {
        self.ours = ours
        self.theirs = theirs
        self.gateways = gateways
        random = SeededGenerator(seed: seed)
    }

    // MARK: - Random requests

    private func pick(_ n: Int) -> Int { Int.random(in: 0..<n, using: &random) }
    private func chance(_ percent: Int) -> Bool { pick(100) < percent }

    private func key() -> Data {
        if chance(1) { return Data() }
        let letters = Array("abc".utf8)
        return Data((0..<(1 + pick(2))).map { _ in letters[pick(letters.count)] })
    }

    private func rangeEnd(_ key: Data) -> Data {
        switch pick(8) {
        case 0...3: return Data()
        case 4: return Data([0])
        case 5: return self.key()
        default: return Data("d".utf8)
        }
    }

    private func value() -> Data { Data((0..<pick(6)).map { _ in UInt8(97 + pick(4)) }) }

    private func someRevision() -> Int64 {
        switch pick(10) {
        case 0: return Int64(pick(3)) - 1
        case 1: return revision + Int64(pick(3))
        case 2: return compacted + Int64(pick(3)) - 1
        default: return max(1, revision - Int64(pick(30)))
        }
    }

    private func lease() -> Int64 {
        if chance(70) || leases.isEmpty { return 0 }
        return chance(90) ? leases[pick(leases.count)] : 999_999
    }

    private func range() -> PBRangeRequest {
        var request = PBRangeRequest()
        request.key = key()
        request.rangeEnd = rangeEnd(request.key)
        if chance(30) { request.limit = Int64(pick(4)) }
        if chance(40) { request.revision = someRevision() }
        if chance(20) {
            request.sortOrder = [.none, .ascend, .descend][pick(3)]
        }
        request.serializable = chance(20)
        request.keysOnly = chance(15)
        request.countOnly = chance(10)
        if chance(5) { request.minModRevision = someRevision() }
        if chance(5) { request.maxModRevision = someRevision() }
        if chance(5) { request.minCreateRevision = someRevision() }
        if chance(5) { request.maxCreateRevision = someRevision() }
        return request
    }

    private func put() -> PBPutRequest {
        var request = PBPutRequest()
        request.key = key()
        request.value = value()
        request.lease = lease()
        request.prevKv = chance(30)
        if chance(5) {
            request.ignoreValue = true
            if chance(80) { request.value = Data() }
        }
        if chance(5) {
            request.ignoreLease = true
            if chance(80) { request.lease = 0 }
        }
        return request
    }

    private func delete() -> PBDeleteRangeRequest {
        var request = PBDeleteRangeRequest()
        request.key = key()
        if chance(30) { request.rangeEnd = rangeEnd(request.key) }
        request.prevKv = chance(30)
        return request
    }

    private func compare() -> PBCompare {
        var compare = PBCompare()
        compare.key = key()
        if chance(20) { compare.rangeEnd = rangeEnd(compare.key) }
        compare.result = [.equal, .greater, .less, .notEqual][pick(4)]
        switch pick(5) {
        case 0:
            compare.target = .version
            compare.version = Int64(pick(4))
        case 1:
            compare.target = .create
            compare.createRevision = chance(50) ? 0 : someRevision()
        case 2:
            compare.target = .mod
            compare.modRevision = chance(50) ? 0 : someRevision()
        case 3:
            compare.target = .value
            if chance(90) { compare.value = value() }
        default:
            compare.target = .lease
            compare.lease = lease()
        }
        return compare
    }

    private func txn(depth: Int = 0) -> PBTxnRequest {
        var request = PBTxnRequest()
        for _ in 0..<pick(3) { request.compare.append(compare()) }
        for _ in 0..<pick(4) { request.success.append(operation(depth)) }
        for _ in 0..<pick(3) { request.failure.append(operation(depth)) }
        return request
    }

    private func operation(_ depth: Int) -> PBRequestOp {
        var operation = PBRequestOp()
        switch pick(depth < 2 ? 12 : 10) {
        case 0...3:
            var range = self.range()
            if chance(80) { range.revision = 0 }
            operation.requestRange = range
        case 4...7: operation.requestPut = put()
        case 8, 9:
            var delete = self.delete()
            // etcd panics when a key that such a deletion takes is put with its old value or lease in the same
            // transaction: the check for overlaps does not see open ends.
            if delete.rangeEnd == Data([0]) { delete.rangeEnd = Data() }
            operation.requestDeleteRange = delete
        case 10: operation.requestTxn = txn(depth: depth + 1)
        default: if chance(90) { operation.requestRange = range() }
        }
        return operation
    }

    // MARK: - Calls

    func step() async throws {
        switch pick(100) {
        case 0..<30: try await call("/etcdserverpb.KV/Put", put(), PBPutResponse.self)
        case 30..<55:
            var request = range()
            if chance(30) {
                request.sortTarget = [.version, .create, .mod, .value][pick(4)]
                // Which of several equal keys a limit leaves out is chance in etcd.
                if request.sortOrder != .none { request.limit = 0 }
            }
            try await call("/etcdserverpb.KV/Range", request, PBRangeResponse.self)
        case 55..<67: try await call("/etcdserverpb.KV/DeleteRange", delete(), PBDeleteRangeResponse.self)
        case 67..<92: try await call("/etcdserverpb.KV/Txn", txn(), PBTxnResponse.self)
        case 92..<94:
            var request = PBLeaseGrantRequest()
            request.id = chance(90) || leases.isEmpty ? nextLease : leases[pick(leases.count)]
            request.ttl = chance(5) ? 9_000_000_001 : 10_000 + Int64(pick(10))
            if request.id == nextLease && request.ttl < 20_000 {
                leases.append(nextLease)
                nextLease += 1
            }
            try await call("/etcdserverpb.Lease/LeaseGrant", request, PBLeaseGrantResponse.self)
        case 94:
            var request = PBLeaseRevokeRequest()
            request.id = 999_999
            if !leases.isEmpty && chance(80) { request.id = leases.remove(at: pick(leases.count)) }
            try await call("/etcdserverpb.Lease/LeaseRevoke", request, PBLeaseRevokeResponse.self)
        case 95, 96:
            var request = PBLeaseTimeToLiveRequest()
            request.id = chance(20) || leases.isEmpty ? 999_999 : leases[pick(leases.count)]
            request.keys = chance(70)
            try await call("/etcdserverpb.Lease/LeaseTimeToLive", request, PBLeaseTimeToLiveResponse.self)
        case 97:
            try await call("/etcdserverpb.Lease/LeaseLeases", PBLeaseLeasesRequest(), PBLeaseLeasesResponse.self)
        case 98:
            var request = PBCompactionRequest()
            request.revision = chance(30) ? someRevision() : max(1, revision - 40)
            request.physical = chance(50)
            if request.revision > compacted && request.revision <= revision { compacted = request.revision }
            try await call("/etcdserverpb.KV/Compact", request, PBCompactionResponse.self)
        default:
            if watches.count < 60 { try await openWatch() }
        }
    }

    private func call<Reply: Message & Equatable>(
        _ path: String,
        _ request: some Message,
        _ type: Reply.Type
    ) async throws {
        let (a, b): (Answer<Reply>, Answer<Reply>)
        if let gateways, let gatewayPath = OracleJSON.paths[path] {
            async let mine = Self.answer(gateways.ours, gatewayPath, request, type)
            async let other = Self.answer(gateways.theirs, gatewayPath, request, type)
            let (first, second) = (await mine, await other)
            (a, b) = (first.answer, second.answer)
            if a == b && first.shape != second.shape {
                differences.append("\(path) in JSON: \(first.shape.symmetricDifference(second.shape)) for \(request)")
            }
        } else {
            let (ours, theirs) = (ours, theirs)
            async let mine = Self.answer(ours, path, request, type)
            async let other = Self.answer(theirs, path, request, type)
            (a, b) = (await mine, await other)
        }
        if case .reply(let reply) = b { revision = max(revision, Self.headerRevision(reply)) }
        compared += 1
        if a != b, differences.count < 1_000 {
            differences.append("\(path)\nrequest: \(request)\nours: \(a)\netcd: \(b)")
        }
    }

    private enum Answer<Reply: Equatable & Sendable>: Equatable, Sendable {
        case reply(Reply)
        case error(ClientError)
    }

    private static func answer<Reply: Message & Equatable>(
        _ connection: EtcdConnection,
        _ path: String,
        _ request: some Message,
        _ type: Reply.Type
    ) async -> Answer<Reply> {
        do {
            let reply: Reply = try await connection.unary(path, request)
            return .reply(normalized(reply, of: request))
        } catch let error as ClientError {
            return .error(error)
        } catch {
            return .error(ClientError(code: -1, message: "\(error)"))
        }
    }

    private static func answer<Reply: Message & Equatable>(
        _ gateway: GatewayConnection,
        _ path: String,
        _ request: some Message,
        _ type: Reply.Type
    ) async -> (answer: Answer<Reply>, shape: Set<String>) {
        do {
            let reply = try await gateway.post(path, OracleJSON.body(request))
            if let error = OracleJSON.error(reply) { return (.error(error), []) }
            // Names that are not in the protocol fail here.
            let message = try Reply(jsonString: reply.body)
            return (.reply(normalized(message, of: request)), OracleJSON.shape(reply.body))
        } catch {
            return (.error(ClientError(code: -1, message: "\(error)")), [])
        }
    }

    private static func inKeyOrderAmongEquals(
        _ kvs: [PBKeyValue],
        _ target: PBRangeRequest.SortTarget
    ) -> [PBKeyValue] {
        func same(_ a: PBKeyValue, _ b: PBKeyValue) -> Bool {
            switch target {
            case .version: a.version == b.version
            case .create: a.createRevision == b.createRevision
            case .mod: a.modRevision == b.modRevision
            default: a.value == b.value
            }
        }
        var result: [PBKeyValue] = []
        var group: [PBKeyValue] = []
        for kv in kvs {
            if let first = group.first, !same(first, kv) {
                result += group.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                group = []
            }
            group.append(kv)
        }
        return result + group.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    private static func headerRevision(_ reply: some Message) -> Int64 {
        switch reply {
        case let reply as PBPutResponse: reply.header.revision
        case let reply as PBDeleteRangeResponse: reply.header.revision
        case let reply as PBTxnResponse: reply.header.revision
        case let reply as PBLeaseRevokeResponse: reply.header.revision
        default: 0
        }
    }

    private static func normalized<Reply: Message>(_ reply: Reply, of request: some Message) -> Reply {
        func plain(_ header: inout PBResponseHeader) {
            header.clusterID = 0
            header.memberID = 0
            header.raftTerm = 0
        }
        switch reply {
        case var reply as PBPutResponse:
            plain(&reply.header)
            return reply as! Reply
        case var reply as PBRangeResponse:
            plain(&reply.header)
            if let request = request as? PBRangeRequest, request.sortTarget != .key {
                // The order among equals is chance in etcd: whole groups of equals are put in key order.
                reply.kvs = inKeyOrderAmongEquals(reply.kvs, request.sortTarget)
            }
            return reply as! Reply
        case var reply as PBDeleteRangeResponse:
            plain(&reply.header)
            return reply as! Reply
        case var reply as PBTxnResponse:
            plain(&reply.header)
            return reply as! Reply
        case var reply as PBCompactionResponse:
            plain(&reply.header)
            return reply as! Reply
        case var reply as PBLeaseGrantResponse:
            plain(&reply.header)
            return reply as! Reply
        case var reply as PBLeaseRevokeResponse:
            plain(&reply.header)
            return reply as! Reply
        case var reply as PBLeaseTimeToLiveResponse:
            plain(&reply.header)
            // The second may turn between the two calls; etcd gives the keys in no order.
            reply.ttl = reply.ttl > 0 ? 1 : reply.ttl
            reply.keys.sort { $0.lexicographicallyPrecedes($1) }
            return reply as! Reply
        case var reply as PBLeaseLeasesResponse:
            plain(&reply.header)
            reply.leases.sort { $0.id < $1.id }
            return reply as! Reply
        default:
            return reply
        }
    }

    // MARK: - Watches

    func openWatches() async throws {
        for _ in 0..<10 { try await openWatch() }
    }

    private func openWatch() async throws {
        var create = PBWatchCreateRequest()
        create.key = key()
        create.rangeEnd = rangeEnd(create.key)
        if chance(50) { create.startRevision = max(0, someRevision()) }
        create.prevKv = chance(50)
        if chance(20) { create.filters = [chance(50) ? .noput : .nodelete] }
        var request = PBWatchRequest()
        request.createRequest = create
        watches.append((try await WatchLog(ours, request), try await WatchLog(theirs, request)))
        // Both have it before anything else is written.
        let pair = watches[watches.count - 1]
        try await pair.ours.waitForCreation()
        try await pair.theirs.waitForCreation()
    }

    /// The events of each watch must be the same, in the same order.
    func compareWatches() async throws {
        var last = PBPutRequest()
        last.key = Data("zz".utf8)
        try await call("/etcdserverpb.KV/Put", last, PBPutResponse.self)
        // Nothing may come late.
        try await Task.sleep(nanoseconds: 1_500_000_000)
        for (mine, other) in watches {
            compared += 1
            let a = mine.snapshot()
            let b = other.snapshot()
            if a != b {
                let at = zip(a.events, b.events).enumerated().first { $0.element.0 != $0.element.1 }
                differences.append(
                    "watch \(mine.request)\nours: \(a.events.count) events, \(a.ending)\netcd: \(b.events.count) events, \(b.ending)\nfirst difference: \(String(describing: at))"
                )
            }
        }
    }
}

/// What a watch has been told.
final class WatchLog: @unchecked Sendable {
    struct Contents: Equatable {
        var events: [PBEvent] = []
        var ending = ""
        var created = false
    }

    let request: PBWatchRequest
    private let lock = NSLock()
    private var contents = Contents()
    private var task: Task<Void, Never>?

    init(_ connection: EtcdConnection, _ request: PBWatchRequest) async throws {
        self.request = request
        let call = try await connection.open("/etcdserverpb.Watch/Watch")
        try await call.send(request)
        task = Task { [self] in
            do {
                for try await message in call.messages {
                    take(try PBWatchResponse(serializedBytes: Array(message.readableBytesView)))
                }
            } catch {
                lock.withLock { contents.ending += "\(error)" }
            }
        }
    }

    private func take(_ response: PBWatchResponse) {
        lock.withLock {
            if response.created { contents.created = true }
            contents.events += response.events
            if response.canceled {
                contents.ending += "cancelled, compacted \(response.compactRevision), \(response.cancelReason)"
            }
        }
    }

    func snapshot() -> Contents { lock.withLock { contents } }

    func waitForCreation() async throws {
        for _ in 0..<500 {
            if snapshot().created || !snapshot().ending.isEmpty { return }
            try await Task.sleep(nanoseconds: 10_000_000)
        }
    }
}
