import Drover
import EtcdAPI
import NIOCore

/// `etcdserverpb.Cluster`: the instances that serve the database, of which an embedded one has one.
enum ClusterService {
    static func memberList(_ stream: ServerStream) throws {
        let context = stream.context
        let (header, store, allocator) = (context.header, context.store, stream.allocator)
        let own = InstanceRecord(
            id: store.memberID,
            name: context.information.memberName,
            clientURLs: context.information.clientURLs,
            position: 0
        )
        KVService.onReader(stream) { reader in
            var response = PBMemberListResponse()
            // etcd's replies of this service carry no revision.
            response.header = header.message(0)
            response.members = (try store.instances(reader) ?? [own]).map { instance in
                var member = PBMember()
                member.id = instance.id
                member.name = instance.name
                member.clientUrls = instance.clientURLs
                return member
            }
            return try MessageBuffer.make(allocator, response)
        }
    }
}
