import ArgumentParser
import EtcdAPI

/// `drover member list`.
struct MemberListCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "All members, and where they listen."
    )

    @OptionGroup var client: ClientOptions

    func run(_ session: ClientSession) async throws {
        var request = PBMemberListRequest()
        request.linearizable = true
        let reply: PBMemberListResponse = try await session.call("Cluster/MemberList", request)
        let rows = reply.members.map { member in
            [
                MemberID.text(member.id), member.name.isEmpty ? "unstarted" : "started", member.name,
                member.peerUrls.joined(separator: ","), member.clientUrls.joined(separator: ","),
                member.isLearner ? "true" : "false",
            ]
        }
        try session.printer.show(
            reply,
            fields: { text in
                text.header(reply.header)
                for member in reply.members {
                    text.field("ID", member.id)
                    text.quoted("Name", member.name)
                    for url in member.peerUrls { text.quoted("PeerURL", url) }
                    for url in member.clientUrls { text.quoted("ClientURL", url) }
                    text.field("IsLearner", member.isLearner)
                    text.blank()
                }
            },
            table: {
                TableText.table(["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"], rows)
            },
            json: { session.printer.isHex ? hexadecimal(reply) : try GoJSON.text(reply) },
            simple: { for row in rows { $0.line(row.joined(separator: ", ")) } }
        )
    }

    /// With the numbers as other commands take them. etcdctl's names, its odd `clientURLS` included.
    private func hexadecimal(_ reply: PBMemberListResponse) -> String {
        func list(_ texts: [String]) -> String { "[\(texts.map(GoJSON.string).joined(separator: ","))]" }
        let members = reply.members.map { member -> String in
            var parts = ["\"ID\":\"\(MemberID.text(member.id))\""]
            if !member.name.isEmpty { parts.append("\"name\":\(GoJSON.string(member.name))") }
            parts.append("\"peerURLs\":\(list(member.peerUrls))")
            parts.append("\"clientURLS\":\(list(member.clientUrls))")
            if member.isLearner { parts.append("\"isLearner\":true") }
            return "{\(parts.joined(separator: ","))}"
        }
        let header =
            "{\"cluster_id\":\"\(MemberID.text(reply.header.clusterID))\",\"member_id\":\"\(MemberID.text(reply.header.memberID))\",\"raft_term\":\(reply.header.raftTerm)}"
        return "{\"header\":\(header),\"members\":[\(members.joined(separator: ","))]}"
    }
}
