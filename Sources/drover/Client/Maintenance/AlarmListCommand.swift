import ArgumentParser
import EtcdAPI

/// `drover alarm list`.
struct AlarmListCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The alarms that are raised.")

    @OptionGroup var client: ClientOptions

    func run(_ session: ClientSession) async throws {
        try AlarmText.show(try await session.call("Maintenance/Alarm", PBAlarmRequest()), session.printer)
    }
}
