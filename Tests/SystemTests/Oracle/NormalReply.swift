import EtcdAPI
import Foundation
import SwiftProtobuf

/// A reply with the header that etcd's replies have.
protocol HeadedReply: Message {
    var header: PBResponseHeader { get set }
}

/// A reply whose header etcd 3.4 leaves out.
protocol LaterHeadedReply: HeadedReply {
    mutating func clearHeader()
}

extension PBPutResponse: HeadedReply {}
extension PBRangeResponse: HeadedReply {}
extension PBDeleteRangeResponse: HeadedReply {}
extension PBTxnResponse: HeadedReply {}
extension PBCompactionResponse: HeadedReply {}
extension PBLeaseGrantResponse: HeadedReply {}
extension PBLeaseRevokeResponse: HeadedReply {}
extension PBLeaseKeepAliveResponse: HeadedReply {}
extension PBLeaseTimeToLiveResponse: HeadedReply {}
extension PBLeaseLeasesResponse: HeadedReply {}
extension PBMemberListResponse: HeadedReply {}
extension PBMemberAddResponse: HeadedReply {}
extension PBMemberRemoveResponse: HeadedReply {}
extension PBMemberUpdateResponse: HeadedReply {}
extension PBMemberPromoteResponse: HeadedReply {}
extension PBMoveLeaderResponse: HeadedReply {}
extension PBStatusResponse: HeadedReply {}
extension PBAlarmResponse: LaterHeadedReply {}
extension PBHashKVResponse: HeadedReply {}
extension PBHashResponse: HeadedReply {}
extension PBDefragmentResponse: HeadedReply {}
extension PBLockResponse: HeadedReply {}
extension PBUnlockResponse: HeadedReply {}
extension PBCampaignResponse: HeadedReply {}
extension PBProclaimResponse: HeadedReply {}
extension PBLeaderResponse: HeadedReply {}
extension PBResignResponse: HeadedReply {}
extension PBAuthEnableResponse: LaterHeadedReply {}
extension PBAuthDisableResponse: LaterHeadedReply {}
extension PBAuthStatusResponse: LaterHeadedReply {}
extension PBAuthenticateResponse: LaterHeadedReply {}
extension PBAuthUserAddResponse: LaterHeadedReply {}
extension PBAuthUserGetResponse: LaterHeadedReply {}
extension PBAuthUserListResponse: LaterHeadedReply {}
extension PBAuthUserDeleteResponse: LaterHeadedReply {}
extension PBAuthUserChangePasswordResponse: LaterHeadedReply {}
extension PBAuthUserGrantRoleResponse: LaterHeadedReply {}
extension PBAuthUserRevokeRoleResponse: LaterHeadedReply {}
extension PBAuthRoleAddResponse: LaterHeadedReply {}
extension PBAuthRoleGetResponse: LaterHeadedReply {}
extension PBAuthRoleListResponse: LaterHeadedReply {}
extension PBAuthRoleDeleteResponse: LaterHeadedReply {}
extension PBAuthRoleGrantPermissionResponse: LaterHeadedReply {}
extension PBAuthRoleRevokePermissionResponse: LaterHeadedReply {}

/// Replies without what is chance, or an id that two servers cannot share.
enum NormalReply {
    /// - Parameter isOld: whether the other server is an etcd of 3.4.
    static func make<Reply: Message>(_ reply: Reply, of request: some Message, isOld: Bool) -> Reply {
        var result: any Message = reply
        if var headed = result as? any HeadedReply {
            headed.header.clusterID = 0
            headed.header.memberID = 0
            headed.header.raftTerm = 0
            result = headed
        }
        if isOld, var headed = result as? any LaterHeadedReply {
            headed.clearHeader()
            result = headed
        }
        switch result {
        case var reply as PBRangeResponse:
            if let request = request as? PBRangeRequest, request.sortTarget != .key {
                // The order among equals is chance in etcd: whole groups of equals are put in key order.
                reply.kvs = inKeyOrderAmongEquals(reply.kvs, request.sortTarget)
            }
            result = reply
        case var reply as PBLeaseTimeToLiveResponse:
            // The second may turn between the two calls; etcd gives the keys in no order.
            reply.ttl = reply.ttl > 0 ? 1 : reply.ttl
            reply.keys.sort { $0.lexicographicallyPrecedes($1) }
            result = reply
        case var reply as PBLeaseLeasesResponse:
            // Those that a server chose itself, for contenders that brought none.
            reply.leases.removeAll { $0.id > 1_000_000 }
            reply.leases.sort { $0.id < $1.id }
            result = reply
        case var reply as PBHashKVResponse:
            // The rules of the hash are those of etcd 3.5.16, which these tests do not have.
            reply.hash = 0
            reply.hashRevision = 0
            result = reply
        case let reply as PBStatusResponse:
            result = PBStatusResponse.with {
                $0.header = reply.header
                $0.isLearner = reply.isLearner
            }
        case var reply as PBAlarmResponse:
            for i in reply.alarms.indices { reply.alarms[i].memberID = 0 }
            reply.alarms.sort { $0.alarm.rawValue < $1.alarm.rawValue }
            result = reply
        case var reply as PBMemberListResponse:
            reply.members = reply.members.map { member in
                PBMember.with { $0.isLearner = member.isLearner }
            }
            result = reply
        case var reply as PBAuthenticateResponse:
            reply.token = reply.token.isEmpty ? "" : "token"
            result = reply
        default:
            break
        }
        return result as! Reply
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
}
