/// What `--version` prints.
enum DroverVersion {
    /// Drover's own version.
    static let number = "0.1.0"
    /// The etcd version that clients are told; Kubernetes chooses features by it.
    static let etcd = "3.6.14"

    static let text = """
        drover \(number)
        etcd API: answers as etcd \(etcd); from 3.6 on Kubernetes uses watch progress requests and consistent reads from its cache
        """
}
