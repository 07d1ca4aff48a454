import DroverClient
import EtcdAPI
import Foundation
import NIOCore
import SwiftProtobuf
import TestSupport

/// A run of random calls against two servers.
final class OracleSession {
    let ours: EtcdConnection
    let theirs: EtcdConnection
    var random: SeededGenerator
    var compared = 0
    var differences: [String] = []
    /// Calls by path.
    private(set) var calls: [String: Int] = [:]
    var revision: Int64 = 1
    var compacted: Int64 = 0
    var leases: [Int64] = []
    var nextLease: Int64 = 1_000
    private var watches: [(ours: WatchLog, theirs: WatchLog)] = []

    /// Whether the other server is an etcd of 3.4, which has fewer calls and headers.
    let isOld: Bool
    /// Locks and elections that are held, by name: the lease that does.
    var held: [Data: Int64] = [:]
    var leaders: [Data: PBLeaderKey] = [:]
    /// The tokens of users, where auth is enabled, and whose the next call carries.
    var tokens: [String: (ours: String, theirs: String)] = [:]
    var caller: String?

    /// The gateways of both servers, when calls go in the JSON form.
    let gateways: (ours: GatewayConnection, theirs: GatewayConnection)?

    init(
        ours: EtcdConnection,
        theirs: EtcdConnection,
        gateways: (ours: GatewayConnection, theirs: GatewayConnection)? = nil,
        isOld: Bool,
        seed: UInt64
    ) {
        self.isOld = isOld
        self.ours = ours
        self.theirs = theirs
        self.gateways = gateways
        random = SeededGenerator(seed: seed)
    }

    // MARK: - Calls

    func step() async throws {
        if chance(9) { try await service() } else { try await dataStep() }
    }

    /// A random call about keys and leases.
    func dataStep() async throws {
        switch pick(100) {
        case 0..<30: try await call("/etcdserverpb.KV/Put", put(), PBPutResponse.self)
        case 30..<55:
            var request = range()
            if chance(30) {
                request.sortTarget = [.version, .create, .mod, .value][pick(4)]
                // Which of several equal keys a limit leaves out is chance in etcd. Without an order and without filters
                // the limit comes before the sorting.
                let isFiltered =
                    request.minModRevision != 0 || request.maxModRevision != 0 || request.minCreateRevision != 0
                    || request.maxCreateRevision != 0
                if request.sortOrder != .none || isFiltered { request.limit = 0 }
            }
            try await call("/etcdserverpb.KV/Range", request, PBRangeResponse.self)
        case 55..<67: try await call("/etcdserverpb.KV/DeleteRange", delete(), PBDeleteRangeResponse.self)
        // etcd before 3.6.9 does not check the transactions in a transaction.
        case 67..<92: try await call("/etcdserverpb.KV/Txn", txn(depth: tokens.isEmpty ? 0 : 2), PBTxnResponse.self)
        case 92..<94:
            // etcd before 3.6 grants leases to anyone.
            if !tokens.isEmpty && caller == nil { caller = "root" }
            var request = PBLeaseGrantRequest()
            request.id = chance(90) || leases.isEmpty ? nextLease : leases[pick(leases.count)]
            request.ttl = chance(5) ? 9_000_000_001 : 10_000 + Int64(pick(10))
            if request.id == nextLease && request.ttl < 20_000 {
                leases.append(nextLease)
                nextLease += 1
            }
            try await call("/etcdserverpb.Lease/LeaseGrant", request, PBLeaseGrantResponse.self)
        case 94:
            // etcd before the later releases of 3.6 lets nobody revoke what has no keys.
            if !tokens.isEmpty && caller == nil { caller = "root" }
            var request = PBLeaseRevokeRequest()
            request.id = 999_999
            if !leases.isEmpty && chance(80) { request.id = leases.remove(at: pick(leases.count)) }
            forget(lease: request.id)
            try await call("/etcdserverpb.Lease/LeaseRevoke", request, PBLeaseRevokeResponse.self)
        // etcd before the fixes of these two tells anyone.
        case 95...97 where !tokens.isEmpty: break
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
            // Of a store that was never compacted etcd lets revision 0 be compacted, once.
            if compacted == 0 { request.revision = max(1, request.revision) }
            request.physical = chance(50)
            // etcd before 3.6.9 lets anyone.
            if !tokens.isEmpty { caller = "root" }
            if request.revision > compacted && request.revision <= revision { compacted = request.revision }
            try await call("/etcdserverpb.KV/Compact", request, PBCompactionResponse.self)
        default:
            if watches.count < 60 && tokens.isEmpty { try await openWatch() }
        }
    }

    @discardableResult
    func call<Reply: Message & Equatable>(
        _ path: String,
        _ request: some Message,
        _ type: Reply.Type
    ) async throws -> (ours: Reply, theirs: Reply)? {
        let (a, b): (Answer<Reply>, Answer<Reply>)
        let isOld = isOld
        let token = caller.flatMap { tokens[$0] }
        if let gateways, let gatewayPath = OracleJSON.path(path) {
            async let mine = Self.answer(gateways.ours, gatewayPath, request, type, token?.ours, isOld)
            async let other = Self.answer(gateways.theirs, gatewayPath, request, type, token?.theirs, isOld)
            let (first, second) = (await mine, await other)
            (a, b) = (first.answer, second.answer)
            let isHeadMissing = isOld && Reply.self is any LaterHeadedReply.Type
            if a == b && first.shape != second.shape && !isHeadMissing && OracleJSON.hasOneShape(path) {
                let names = first.shape.symmetricDifference(second.shape)
                differences.append("\(path) in JSON: \(names) for \(request.textFormatString())")
            }
        } else {
            let (ours, theirs) = (ours, theirs)
            async let mine = Self.answer(ours, path, request, type, token?.ours, isOld)
            async let other = Self.answer(theirs, path, request, type, token?.theirs, isOld)
            (a, b) = (await mine, await other)
        }
        compared += 1
        calls[path, default: 0] += 1
        if Self.isTraced {
            print("oracle trace: \(path) as \(caller ?? "-"): \(request.textFormatString()) -> \(b.text)")
        }
        if a != b, differences.count < 1_000 {
            let difference =
                "\(path) as \(caller ?? "-")\nrequest: \(request.textFormatString())\nours: \(a.text)\netcd: \(b.text)"
            differences.append(difference)
            // At once: what comes of it may be a call that waits for ever.
            if differences.count <= 5 { FileHandle.standardError.write(Data("oracle differs: \(difference)\n".utf8)) }
        }
        guard case .reply(let theirs) = b else { return nil }
        revision = max(revision, Self.headerRevision(theirs))
        if case .reply(let ours) = a { return (ours, theirs) }
        return nil
    }

    /// Whether every call is printed, to find what came before a difference.
    private static let isTraced = environment("DROVER_TEST_ORACLE_TRACE") != nil

    private enum Answer<Reply: Message & Equatable>: Equatable, Sendable {
        case reply(Reply)
        case error(ClientError)

        // Optimized, messages describe themselves by nothing but their type.
        var text: String {
            switch self {
            case .reply(let reply): reply.textFormatString()
            case .error(let error): "\(error)"
            }
        }
    }

    private static func answer<Reply: Message & Equatable>(
        _ connection: EtcdConnection,
        _ path: String,
        _ request: some Message,
        _ type: Reply.Type,
        _ token: String?,
        _ isOld: Bool
    ) async -> Answer<Reply> {
        do {
            let metadata = token.map { [("token", $0)] } ?? []
            let reply: Reply = try await connection.unary(path, request, metadata: metadata)
            return .reply(NormalReply.make(reply, of: request, isOld: isOld))
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
        _ type: Reply.Type,
        _ token: String?,
        _ isOld: Bool
    ) async -> (answer: Answer<Reply>, shape: Set<String>) {
        do {
            var reply = try await gateway.post(path, OracleJSON.body(request), token: token)
            OracleJSON.unwrap(&reply)
            if let error = OracleJSON.error(reply) { return (.error(error), []) }
            // Names that are not in the protocol fail here.
            let message = try Reply(jsonString: reply.body)
            return (.reply(NormalReply.make(message, of: request, isOld: isOld)), OracleJSON.shape(reply.body))
        } catch {
            return (.error(ClientError(code: -1, message: "\(error)")), [])
        }
    }

    private static func headerRevision(_ reply: some Message) -> Int64 {
        switch reply {
        // Reads may be of the past.
        case is PBRangeResponse, is PBLeaseTimeToLiveResponse: 0
        case let reply as any HeadedReply: reply.header.revision
        default: 0
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
        // etcd before 3.5.16 forgets what was deleted at the very revision that was compacted.
        if create.startRevision > 0 && create.startRevision == compacted { create.startRevision += 1 }
        create.prevKv = chance(50)
        if chance(20) { create.filters = [chance(50) ? .noput : .nodelete] }
        var request = PBWatchRequest()
        request.createRequest = create
        watches.append((try await WatchLog(ours, request), try await WatchLog(theirs, request)))
        // Both have it before anything else is written.
        let pair = watches[watches.count - 1]
        try await pair.ours.waitForCreation()
        try await pair.theirs.waitForCreation()
        // etcd looks at watches of the past ten times a second; what is compacted meanwhile is lost to them.
        if create.startRevision > 0 { try await Task.sleep(nanoseconds: 250_000_000) }
    }

    /// The events of each watch must be the same, in the same order.
    func compareWatches() async throws {
        var last = PBPutRequest()
        last.key = Data("zz".utf8)
        try await call("/etcdserverpb.KV/Put", last, PBPutResponse.self)
        // All may come late, and nothing more behind it.
        for _ in 0..<100 where watches.contains(where: { $0.snapshot() != $1.snapshot() }) {
            try await Task.sleep(nanoseconds: 200_000_000)
        }
        try await Task.sleep(nanoseconds: 1_500_000_000)
        for (mine, other) in watches {
            compared += 1
            let a = mine.snapshot()
            let b = other.snapshot()
            if a != b {
                let at = zip(a.events, b.events).enumerated().first { $0.element.0 != $0.element.1 }
                let first = at.map {
                    "\($0.offset): \($0.element.0.textFormatString())\n\($0.element.1.textFormatString())"
                }
                differences.append(
                    "watch \(mine.request.textFormatString())\nours: \(a.events.count) events, \(a.ending)\netcd: \(b.events.count) events, \(b.ending)\nfirst difference: \(first ?? "-")"
                )
            }
        }
    }
}
