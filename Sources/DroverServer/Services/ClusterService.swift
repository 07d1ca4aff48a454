import Drover
import EtcdAPI
import NIOCore
import SwiftProtobuf

/// `etcdserverpb.Cluster`: the instances that serve the database, of which an embedded one has one.
enum ClusterService {
    /// The instances that live.
    private static func members(_ stream: ServerStream) -> @Sendable (any DriverReader) throws -> [PBMember] {
        let context = stream.context
        let store = context.store
        let own = InstanceRecord(
            id: store.memberID,
            name: context.information.memberName,
            clientURLs: context.information.clientURLs,
            position: 0
        )
        return { reader in
            (try store.instances(reader) ?? [own]).map { instance in
                var member = PBMember()
                member.id = instance.id
                member.name = instance.name
                member.clientUrls = instance.clientURLs
                return member
            }
        }
    }

    static func memberList(_ stream: ServerStream) throws {
        let (header, allocator, members) = (stream.context.header, stream.allocator, members(stream))
        let (store, caller) = (stream.context.store, stream.caller)
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            try store.system(try reader.beginSnapshot(), reader)?.checkUser(caller)
            var response = PBMemberListResponse()
            // etcd's replies of this service carry no revision.
            response.header = header.message(0)
            response.members = try members(reader)
            return try MessageBuffer.make(allocator, response)
        }
    }

    /// Instances join by themselves: there is nobody to add.
    static func add(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBMemberAddRequest(wire: message)
        let areURLs = areURLs(request.peerUrls)
        asAdministrator(stream) { _, _ -> PBMemberAddResponse in
            throw DroverError(areURLs ? .notEnoughStartedMembers : .memberURLsInvalid)
        }
    }

    /// Whether they are URLs of peers. Source: etcd `client/pkg/types.NewURLs`.
    private static func areURLs(_ urls: [String]) -> Bool {
        !urls.isEmpty
            && urls.allSatisfy { url in
                let parts = url.split(separator: "/", omittingEmptySubsequences: false)
                guard parts.count == 3, ["http:", "https:", "unix:", "unixs:"].contains(parts[0]), parts[1].isEmpty
                else {
                    return false
                }
                return parts[0].hasPrefix("unix") || parts[2].contains(":")
            }
    }

    /// Answers a call that only administrators may make, by the state of its own snapshot: another instance may have begun
    /// to ask for users a moment ago.
    static func asAdministrator<Response: Message>(
        _ stream: ServerStream,
        _ answer: @escaping @Sendable (StoreMeta, any DriverReader) throws -> Response
    ) {
        let (store, caller, allocator) = (stream.context.store, stream.caller, stream.allocator)
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            let meta = try reader.beginSnapshot()
            try store.system(meta, reader)?.checkAdministrator(caller)
            return try MessageBuffer.make(allocator, try answer(meta, reader))
        }
    }

    /// Answers an administrator's call about the member `id`, or with an error where it does not live.
    static func known<Response: Message>(
        _ stream: ServerStream,
        _ id: UInt64,
        otherwise: DroverError.Code = .memberNotFound,
        _ answer: @escaping @Sendable (PBResponseHeader, [PBMember]) throws -> Response
    ) {
        let (header, members) = (stream.context.header, members(stream))
        asAdministrator(stream) { _, reader in
            let living = try members(reader)
            guard living.contains(where: { $0.id == id }) else { throw DroverError(otherwise) }
            return try answer(header.message(0), living)
        }
    }

    static func remove(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBMemberRemoveRequest(wire: message)
        known(stream, request.id) { _, _ -> PBMemberRemoveResponse in
            throw DroverError(.notEnoughStartedMembers)
        }
    }

    static func update(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBMemberUpdateRequest(wire: message)
        known(stream, request.id) { header, members in
            var response = PBMemberUpdateResponse()
            response.header = header
            response.members = members
            return response
        }
    }

    static func promote(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBMemberPromoteRequest(wire: message)
        known(stream, request.id) { _, _ -> PBMemberPromoteResponse in
            throw DroverError(.memberNotLearner)
        }
    }
}
