import EtcdAPI
import Foundation

/// Random requests about keys.
extension OracleSession {
    func pick(_ n: Int) -> Int { Int.random(in: 0..<n, using: &random) }
    func chance(_ percent: Int) -> Bool { pick(100) < percent }

    func key() -> Data {
        if chance(1) { return Data() }
        let letters = Array("abc".utf8)
        return Data((0..<(1 + pick(2))).map { _ in letters[pick(letters.count)] })
    }

    func rangeEnd(_ key: Data) -> Data {
        switch pick(8) {
        case 0...3: return Data()
        case 4: return Data([0])
        case 5:
            let end = self.key()
            // Whether a range that ends before it begins is permitted depends on how etcd's tree has come to be.
            return tokens.isEmpty || key.lexicographicallyPrecedes(end) ? end : Data("d".utf8)
        default: return Data("d".utf8)
        }
    }

    func value() -> Data { Data((0..<pick(6)).map { _ in UInt8(97 + pick(4)) }) }

    func someRevision() -> Int64 {
        switch pick(10) {
        case 0: return Int64(pick(3)) - 1
        case 1: return revision + Int64(pick(3))
        case 2: return compacted + Int64(pick(3)) - 1
        default: return max(1, revision - Int64(pick(30)))
        }
    }

    func lease() -> Int64 {
        if chance(70) || leases.isEmpty { return 0 }
        return chance(90) ? leases[pick(leases.count)] : 999_999
    }

    func range() -> PBRangeRequest {
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

    func put() -> PBPutRequest {
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

    func delete() -> PBDeleteRangeRequest {
        var request = PBDeleteRangeRequest()
        request.key = key()
        if chance(30) { request.rangeEnd = rangeEnd(request.key) }
        request.prevKv = chance(30)
        return request
    }

    func compare() -> PBCompare {
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

    func txn(depth: Int = 0) -> PBTxnRequest {
        var request = PBTxnRequest()
        for _ in 0..<pick(3) { request.compare.append(compare()) }
        for _ in 0..<pick(4) { request.success.append(operation(depth)) }
        for _ in 0..<pick(3) { request.failure.append(operation(depth)) }
        return request
    }

    func operation(_ depth: Int) -> PBRequestOp {
        var operation = PBRequestOp()
        switch pick(depth < 2 ? 12 : 10) {
        case 0...3:
            var range = self.range()
            if chance(80) { range.revision = 0 }
            operation.requestRange = range
        case 4...7:
            operation.requestPut = put()
            // etcd before 3.6.9 does not ask for the lease's other keys here, nor for the right to read.
            if !tokens.isEmpty {
                operation.requestPut.lease = 0
                operation.requestPut.prevKv = false
            }
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
}
