import DroverClient
import Foundation
import SwiftProtobuf
import TestSupport

/// Calls of the oracle in the JSON form: the same requests, on the gateway's paths.
enum OracleJSON {
    static let paths = [
        "/etcdserverpb.KV/Range": "/v3/kv/range", "/etcdserverpb.KV/Put": "/v3/kv/put",
        "/etcdserverpb.KV/DeleteRange": "/v3/kv/deleterange", "/etcdserverpb.KV/Txn": "/v3/kv/txn",
        "/etcdserverpb.KV/Compact": "/v3/kv/compaction", "/etcdserverpb.Lease/LeaseGrant": "/v3/lease/grant",
        "/etcdserverpb.Lease/LeaseRevoke": "/v3/lease/revoke",
        "/etcdserverpb.Lease/LeaseTimeToLive": "/v3/lease/timetolive",
        "/etcdserverpb.Lease/LeaseLeases": "/v3/lease/leases",
    ]

    static func body(_ request: some Message) throws -> String {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        return try request.jsonString(options: options)
    }

    /// The error of a reply in the gateway's shape; nil of a good one.
    static func error(_ reply: GatewayConnection.Reply) -> ClientError? {
        if reply.status == 200 { return nil }
        let object = (try? JSONSerialization.jsonObject(with: Data(reply.body.utf8))) as? [String: Any]
        let text = object?["message"] as? String ?? object?["error"] as? String ?? reply.body
        return ClientError(code: object?["code"] as? Int ?? -reply.status, message: text)
    }

    /// How a reply is written: its member names and the kind of each value, without lists' lengths and the values.
    static func shape(_ body: String) -> Set<String> {
        var names: Set<String> = []
        func walk(_ value: Any, _ path: String) {
            switch value {
            case let object as [String: Any]: for (name, inner) in object { walk(inner, "\(path).\(name)") }
            case let list as [Any]: for inner in list { walk(inner, "\(path)[]") }
            case is String: names.insert("\(path):string")
            case let number as NSNumber: names.insert("\(path):\(CFBooleanLike.isBoolean(number) ? "bool" : "number")")
            default: names.insert("\(path):null")
            }
        }
        if let object = try? JSONSerialization.jsonObject(with: Data(body.utf8)) { walk(object, "") }
        // A time to live of 0 is left out, and it may turn between the two calls.
        return names.filter { $0 != ".TTL:string" && $0 != ".header.raft_term:string" }
    }
}

private enum CFBooleanLike {
    static func isBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
}
