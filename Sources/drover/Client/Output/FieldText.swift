import EtcdAPI

/// The form `fields`: a name and a value on each line, as Go quotes them.
struct FieldText {
    var text = TextBuffer()

    mutating func field(_ name: String, _ value: String) { text.line("\"\(name)\" : \(value)") }
    mutating func field(_ name: String, _ value: some BinaryInteger) { field(name, "\(value)") }
    mutating func field(_ name: String, _ value: Bool) { field(name, value ? "true" : "false") }
    mutating func quoted(_ name: String, _ value: some Sequence<UInt8>) { field(name, GoText.quoted(Array(value))) }
    mutating func quoted(_ name: String, _ value: String) { quoted(name, value.utf8) }
    mutating func blank() { text.line("") }

    mutating func header(_ header: PBResponseHeader) {
        field("ClusterID", header.clusterID)
        field("MemberID", header.memberID)
        field("Revision", header.revision)
        field("RaftTerm", header.raftTerm)
    }

    mutating func pair(_ kv: PBKeyValue, prefix: String = "") {
        quoted("\(prefix)Key", kv.key)
        field("\(prefix)CreateRevision", kv.createRevision)
        field("\(prefix)ModRevision", kv.modRevision)
        field("\(prefix)Version", kv.version)
        quoted("\(prefix)Value", kv.value)
        field("\(prefix)Lease", kv.lease)
    }
}
