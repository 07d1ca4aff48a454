import EtcdAPI
import Foundation
import SwiftProtobuf
import TestSupport

/// Random generated messages, to hold the hand-tuned codec against.
struct RandomMessages {
    var generator: SeededGenerator

    mutating func int() -> Int64 {
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: return 0
        case 1: return Int64.random(in: 1...127, using: &generator)
        case 2: return Int64.random(in: 128...70_000, using: &generator)
        case 3: return .max
        case 4: return -Int64.random(in: 1...1_000, using: &generator)
        default: return Int64.random(in: .min ... .max, using: &generator)
        }
    }

    mutating func flag() -> Bool { Bool.random(using: &generator) }

    mutating func bytes() -> Data {
        let length = [0, 1, 5, 127, 128, 300][Int.random(in: 0..<6, using: &generator)]
        return Data((0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    mutating func kv() -> PBKeyValue {
        var kv = PBKeyValue()
        kv.key = bytes()
        kv.value = bytes()
        kv.createRevision = int()
        kv.modRevision = int()
        kv.version = int()
        kv.lease = int()
        return kv
    }

    mutating func range() -> PBRangeRequest {
        var request = PBRangeRequest()
        request.key = bytes()
        request.rangeEnd = bytes()
        request.limit = int()
        request.revision = int()
        request.sortOrder = PBRangeRequest.SortOrder.allCases.randomElement(using: &generator)!
        request.sortTarget = PBRangeRequest.SortTarget.allCases.randomElement(using: &generator)!
        request.serializable = flag()
        request.keysOnly = flag()
        request.countOnly = flag()
        request.minModRevision = int()
        request.maxModRevision = int()
        request.minCreateRevision = int()
        request.maxCreateRevision = int()
        return request
    }

    mutating func put() -> PBPutRequest {
        var request = PBPutRequest()
        request.key = bytes()
        request.value = bytes()
        request.lease = int()
        request.prevKv = flag()
        request.ignoreValue = flag()
        request.ignoreLease = flag()
        return request
    }

    mutating func delete() -> PBDeleteRangeRequest {
        var request = PBDeleteRangeRequest()
        request.key = bytes()
        request.rangeEnd = bytes()
        request.prevKv = flag()
        return request
    }

    mutating func compare() -> PBCompare {
        var compare = PBCompare()
        compare.key = bytes()
        compare.rangeEnd = bytes()
        compare.result = PBCompare.CompareResult.allCases.randomElement(using: &generator)!
        switch Int.random(in: 0..<5, using: &generator) {
        case 0:
            compare.target = .version
            compare.version = int()
        case 1:
            compare.target = .create
            compare.createRevision = int()
        case 2:
            compare.target = .mod
            compare.modRevision = int()
        case 3:
            compare.target = .value
            compare.value = bytes()
        default:
            compare.target = .lease
            compare.lease = int()
        }
        return compare
    }

    mutating func txn(depth: Int = 0) -> PBTxnRequest {
        var request = PBTxnRequest()
        for _ in 0..<Int.random(in: 0..<3, using: &generator) { request.compare.append(compare()) }
        for _ in 0..<Int.random(in: 0..<4, using: &generator) { request.success.append(operation(depth)) }
        for _ in 0..<Int.random(in: 0..<4, using: &generator) { request.failure.append(operation(depth)) }
        return request
    }

    private mutating func operation(_ depth: Int) -> PBRequestOp {
        var operation = PBRequestOp()
        switch Int.random(in: 0..<(depth < 3 ? 4 : 3), using: &generator) {
        case 0: operation.requestRange = range()
        case 1: operation.requestPut = put()
        case 2: operation.requestDeleteRange = delete()
        default: operation.requestTxn = txn(depth: depth + 1)
        }
        return operation
    }

    mutating func watchCreate() -> PBWatchCreateRequest {
        var request = PBWatchCreateRequest()
        request.key = bytes()
        request.rangeEnd = bytes()
        request.startRevision = int()
        request.progressNotify = flag()
        request.filters = (0..<Int.random(in: 0..<3, using: &generator)).map { _ in flagFilter() }
        request.prevKv = flag()
        request.watchID = int()
        request.fragment = flag()
        return request
    }

    private mutating func flagFilter() -> PBWatchCreateRequest.FilterType { flag() ? .noput : .nodelete }
}
