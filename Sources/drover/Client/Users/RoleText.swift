import EtcdAPI

/// What a role allows, in words.
enum RoleText {
    static func show(_ reply: PBAuthRoleGetResponse, of role: String, _ printer: Printer) throws {
        try printer.show(
            reply,
            fields: { text in
                text.header(reply.header)
                for permission in reply.perm {
                    text.field("PermType", " \(name(permission.permType))")
                    text.quoted("Key", permission.key)
                    text.quoted("RangeEnd", permission.rangeEnd)
                }
            },
            simple: { text in
                text.line("Role \(role)")
                for (title, other) in [("KV Read:", PBPermission.TypeEnum.read), ("KV Write:", .write)] {
                    text.line(title)
                    for permission in reply.perm where [other, .readwrite].contains(permission.permType) {
                        text.add("\t")
                        text.line(range(Array(permission.key), Array(permission.rangeEnd)), hex: false)
                    }
                }
            }
        )
    }

    /// A key, or a range with what it means.
    static func range(_ key: [UInt8], _ end: [UInt8], isRevoked: Bool = false) -> [UInt8] {
        if end.isEmpty { return key }
        var text = TextBuffer()
        text.add("[")
        text.add(key)
        text.add(", ")
        if end == [0] {
            text.add("<open ended>")
        } else {
            text.add(end)
            text.add(")")
        }
        if !isRevoked && !key.isEmpty && KeyRange.prefixEnd(key) == end {
            text.add(" (prefix ")
            text.add(key)
            text.add(")")
        }
        return text.bytes
    }

    private static func name(_ kind: PBPermission.TypeEnum) -> String {
        switch kind {
        case .read: "READ"
        case .write: "WRITE"
        case .readwrite: "READWRITE"
        case .UNRECOGNIZED(let number): "\(number)"
        }
    }
}
