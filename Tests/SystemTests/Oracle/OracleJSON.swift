import DroverClient
import Foundation
import SwiftProtobuf
import TestSupport

/// Calls of the oracle in the JSON form: the same requests, on the gateway's paths.
enum OracleJSON {
    /// The gateway's path of a call; nil of one that has none.
    static func path(_ wire: String) -> String? {
        guard let slash = wire.lastIndex(of: "/"), let dot = wire[..<slash].lastIndex(of: ".") else { return nil }
        let (service, method) = (wire[wire.index(after: dot)..<slash], wire[wire.index(after: slash)...])
        // etcd before 3.6 has it on another's path.
        if method == "HashKV" { return nil }
        switch service {
        case "KV": return "/v3/kv/" + (method == "Compact" ? "compaction" : method.lowercased())
        case "Lease": return "/v3/lease/" + method.dropFirst("Lease".count).lowercased()
        case "Lock": return "/v3/lock/\(method.lowercased())"
        case "Election": return "/v3/election/\(method.lowercased())"
        case "Cluster": return "/v3/cluster/member/" + method.dropFirst("Member".count).lowercased()
        case "Maintenance":
            return "/v3/maintenance/" + (method == "MoveLeader" ? "transfer-leadership" : method.lowercased())
        case "Auth":
            for subject in ["User", "Role"] where method.hasPrefix(subject) {
                let verb = method.dropFirst(subject.count)
                let word =
                    verb == "ChangePassword" ? "changepw" : verb.lowercased()
                let short = word.hasPrefix("grant") ? "grant" : word.hasPrefix("revoke") ? "revoke" : word
                return "/v3/auth/\(subject.lowercased())/\(short)"
            }
            return "/v3/auth/"
                + (method == "Authenticate" ? "authenticate" : method.dropFirst("Auth".count).lowercased())
        default: return nil
        }
    }

    /// Whether both servers write the same members of the call's reply: numbers that are 0 are left out, and what a
    /// server is like differs.
    static func hasOneShape(_ path: String) -> Bool {
        !path.hasSuffix("/Status") && !path.hasSuffix("/HashKV") && !path.hasSuffix("/MemberList")
            && !path.hasSuffix("/Alarm")
    }

    /// The message of a stream of one, out of what the gateway puts around each.
    static func unwrap(_ reply: inout GatewayConnection.Reply) {
        guard let object = (try? JSONSerialization.jsonObject(with: Data(reply.body.utf8))) as? [String: Any],
            object.count == 1, let inner = object["result"] ?? object["error"] as? [String: Any],
            let data = try? JSONSerialization.data(withJSONObject: inner)
        else { return }
        reply.body = String(decoding: data, as: UTF8.self)
        if let status = (inner as? [String: Any])?["http_code"] as? Int { reply.status = status }
    }

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
        let code = object?["code"] as? Int ?? object?["grpc_code"] as? Int
        return ClientError(code: code ?? -reply.status, message: text)
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
