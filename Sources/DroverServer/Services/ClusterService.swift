import Drover
import EtcdAPI
import NIOCore

/// `etcdserverpb.Cluster`: one member, this one.
enum ClusterService {
    static func memberList(_ stream: ServerStream) throws {
        var response = PBMemberListResponse()
        // etcd's replies of this service carry no revision.
        response.header = stream.context.header.message(0)
        var member = PBMember()
        member.id = stream.context.store.memberID
        member.name = stream.context.information.memberName
        member.clientUrls = stream.context.information.clientURLs
        response.members = [member]
        stream.reply(try MessageBuffer.make(stream.allocator, response))
    }
}
