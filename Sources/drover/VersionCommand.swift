import ArgumentParser

/// `drover version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version of Drover and of the etcd API it serves."
    )

    func run() {
        print(DroverVersion.text)
    }
}
