import EtcdAPI

/// Alarms by their names.
enum AlarmText {
    static func name(_ alarm: PBAlarmType) -> String {
        switch alarm {
        case .none: "NONE"
        case .nospace: "NOSPACE"
        case .corrupt: "CORRUPT"
        case .UNRECOGNIZED(let number): "\(number)"
        }
    }

    /// Prints alarms as both commands do.
    static func show(_ reply: PBAlarmResponse, _ printer: Printer) throws {
        try printer.show(
            reply,
            fields: { text in
                text.header(reply.header)
                for alarm in reply.alarms {
                    text.field("MemberID", alarm.memberID)
                    text.field("AlarmType", name(alarm.alarm))
                    text.blank()
                }
            },
            simple: { for alarm in reply.alarms { $0.line("memberID:\(alarm.memberID) alarm:\(name(alarm.alarm)) ") } }
        )
    }
}
