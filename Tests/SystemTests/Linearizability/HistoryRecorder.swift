import DroverClient
import EtcdAPI
import Foundation
import Synchronization
import TestSupport

/// A client that makes random calls on a few keys, one after the other, and writes down what came of each.
struct HistoryRecorder: Sendable {
    let client: Int
    let seed: UInt64
    let keys: [String]

    /// - Parameter connect: a connection to any server that is there; asked again when a call was cut.
    func run(_ calls: Int, connect: @Sendable () async throws -> EtcdConnection) async -> [HistoryCall] {
        var random = SeededGenerator(seed: seed &+ UInt64(client) &* 7_919)
        var history: [HistoryCall] = []
        var connection: EtcdConnection?
        var known: [String: String?] = [:]
        var number = 0
        while history.count < calls && !Task.isCancelled {
            if connection == nil { connection = try? await connect() }
            guard let current = connection else {
                try? await Task.sleep(nanoseconds: 5_000_000)
                continue
            }
            number += 1
            let action = action(&random, known, value: "\(client).\(number)")
            let began = DispatchTime.now().uptimeNanoseconds
            let outcome = await Self.call(current, action)
            let ended = DispatchTime.now().uptimeNanoseconds
            history.append(HistoryCall(client: client, action: action, began: began, ended: ended, outcome: outcome))
            switch outcome {
            case .read(let values, _): known.merge(values) { $1 }
            case .wrote: known.merge(history.last!.writes) { $1 }
            case .refused: break
            case .unknown:
                await current.close()
                connection = nil
            }
        }
        await connection?.close()
        return history
    }

    private func action(
        _ random: inout SeededGenerator,
        _ known: [String: String?],
        value: String
    ) -> HistoryCall.Action {
        let key = keys[Int.random(in: 0..<keys.count, using: &random)]
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<35: return .get(key)
        case 35..<60: return .put(key, value: value)
        case 60..<65: return .delete(key)
        case 65..<90: return .swap(key, from: known[key] ?? nil, to: value)
        default:
            let pair = Array(keys.shuffled(using: &random).prefix(2))
            return .pair(pair, values: ["\(value).0", "\(value).1"])
        }
    }

    private static func call(_ connection: EtcdConnection, _ action: HistoryCall.Action) async -> HistoryCall.Outcome {
        do {
            switch action {
            case .get(let key):
                let reply = try await get(connection, key)
                return .read([key: text(reply)], revision: reply.header.revision)
            case .put(let key, let value):
                return .wrote([:], revision: try await put(connection, key, value))
            case .delete(let key):
                let request = PBDeleteRangeRequest.with {
                    $0.key = Data(key.utf8)
                    $0.prevKv = true
                }
                let reply: PBDeleteRangeResponse = try await connection.unary("/etcdserverpb.KV/DeleteRange", request)
                if reply.deleted == 0 { return .read([key: .none], revision: reply.header.revision) }
                let before = String(decoding: reply.prevKvs[0].value, as: UTF8.self)
                return .wrote([key: before], revision: reply.header.revision)
            case .swap(let key, let from, let to):
                let request = PBTxnRequest.with {
                    $0.compare = [
                        PBCompare.with {
                            $0.key = Data(key.utf8)
                            if let from {
                                $0.target = .value
                                $0.value = Data(from.utf8)
                            } else {
                                $0.target = .create
                                $0.createRevision = 0
                            }
                        }
                    ]
                    $0.success = [write(key, to)]
                    $0.failure = [read(key)]
                }
                let reply: PBTxnResponse = try await connection.unary("/etcdserverpb.KV/Txn", request)
                if reply.succeeded { return .wrote([key: from], revision: reply.header.revision) }
                return .read([key: text(reply.responses[0].responseRange)], revision: reply.header.revision)
            case .pair(let keys, let values):
                let request = PBTxnRequest.with {
                    $0.success = keys.map(read) + zip(keys, values).map { write($0, $1) }
                }
                let reply: PBTxnResponse = try await connection.unary("/etcdserverpb.KV/Txn", request)
                let seen = zip(keys, reply.responses).map { ($0, text($1.responseRange)) }
                return .wrote(Dictionary(uniqueKeysWithValues: seen), revision: reply.header.revision)
            }
        } catch let error as ClientError {
            let isFinal = error.message.hasPrefix("etcdserver: ") || error.message.hasPrefix("drover: ")
            return isFinal && !error.message.hasPrefix("etcdserver: request timed out") ? .refused : .unknown
        } catch {
            return .unknown
        }
    }

    private static func text(_ reply: PBRangeResponse) -> String? {
        reply.kvs.first.map { String(decoding: $0.value, as: UTF8.self) }
    }

    private static func write(_ key: String, _ value: String) -> PBRequestOp {
        PBRequestOp.with {
            $0.requestPut.key = Data(key.utf8)
            $0.requestPut.value = Data(value.utf8)
        }
    }

    private static func read(_ key: String) -> PBRequestOp {
        PBRequestOp.with { $0.requestRange.key = Data(key.utf8) }
    }
}
