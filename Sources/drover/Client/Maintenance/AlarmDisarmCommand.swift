import ArgumentParser
import EtcdAPI

/// `drover alarm disarm`.
struct AlarmDisarmCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "disarm", abstract: "End all alarms.")

    @OptionGroup var client: ClientOptions

    func run(_ session: ClientSession) async throws {
        let raised: PBAlarmResponse = try await session.call("Maintenance/Alarm", PBAlarmRequest())
        // As etcd's client: one reply of all that were ended, without a header of its own.
        var ended = PBAlarmResponse()
        for alarm in raised.alarms {
            var request = PBAlarmRequest()
            (request.action, request.memberID, request.alarm) = (.deactivate, alarm.memberID, alarm.alarm)
            let reply: PBAlarmResponse = try await session.call("Maintenance/Alarm", request)
            ended.alarms += reply.alarms
        }
        try AlarmText.show(ended, session.printer)
    }
}
