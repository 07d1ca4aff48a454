import DroverClient
import EtcdAPI
import Foundation
import Testing

/// What a writer knows of one key that it has put once.
enum WriteOutcome: Sendable {
    case acknowledged(Int64)
    case refused
    /// etcd's timeout: it may be there or not.
    case open

    /// Puts a key.
    static func of(_ connection: EtcdConnection, _ key: String) async -> WriteOutcome {
        do {
            return .acknowledged(try await put(connection, key, key))
        } catch let error as ClientError {
            // What the server says is final, but for etcd's timeouts; a call that was cut or given up by this side is
            // open too.
            if error.message.hasPrefix("etcdserver: ") || error.message.hasPrefix("drover: ") {
                return error.message.hasPrefix("etcdserver: request timed out") ? .open : .refused
            }
            return [1, 4, 13, 14].contains(error.code) ? .open : .refused
        } catch {
            return .open
        }
    }

    /// Every acknowledged key is there once, every refused one is not, and the revisions have no gap.
    static func verify(_ connection: EtcdConnection, _ outcomes: [String: WriteOutcome]) async throws {
        var all = PBRangeRequest()
        all.key = Data([0])
        all.rangeEnd = Data([0])
        let reply: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", all)
        let found = Dictionary(
            uniqueKeysWithValues: reply.kvs.map { (String(decoding: $0.key, as: UTF8.self), $0) }
        )
        for (key, outcome) in outcomes {
            switch outcome {
            case .acknowledged(let revision):
                #expect(found[key]?.modRevision == revision, "an acknowledged write is gone or moved")
            case .refused: #expect(found[key] == nil, "a refused write is there")
            case .open: break
            }
            #expect(found[key]?.version ?? 1 == 1, "a write happened twice")
        }
        #expect(reply.kvs.map(\.modRevision).sorted() == Array(2..<(reply.header.revision + 1)))
    }

    /// Puts keys of a lane until the task is cancelled.
    static func lane(_ connection: EtcdConnection, _ prefix: String) async -> [String: WriteOutcome] {
        var seen: [String: WriteOutcome] = [:]
        var i = 0
        while !Task.isCancelled {
            i += 1
            let key = "\(prefix)/\(i)"
            seen[key] = await of(connection, key)
            // A server that is away answers at once.
            if case .acknowledged = seen[key]! { continue }
            try? await Task.sleep(nanoseconds: 5_000_000)
        }
        return seen
    }

    var isAcknowledged: Bool { if case .acknowledged = self { true } else { false } }
}
