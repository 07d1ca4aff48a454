/// What the server says of itself.
struct ServerInformation: Sendable {
    /// The version etcd clients are told.
    var etcdVersion: String
    /// The URLs clients reach it by.
    var clientURLs: [String]
    /// The member's name.
    var memberName: String

    /// Major and minor version, as etcd's `etcdcluster` has it.
    var clusterVersion: String {
        etcdVersion.split(separator: ".").prefix(2).joined(separator: ".") + ".0"
    }
}
