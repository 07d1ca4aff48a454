/// The workloads by name.
public enum WorkloadCatalog {
    struct Entry: Sendable {
        var name: String
        var summary: String
        var make: @Sendable () -> any Workload
    }

    static let entries: [Entry] = [
        Entry(name: "put", summary: "puts of one key each") { KeyValueWorkload(kind: .put) },
        Entry(name: "get", summary: "reads of one key each") { KeyValueWorkload(kind: .get) },
        Entry(name: "txn", summary: "updates guarded by the revision the key was last changed at") {
            KeyValueWorkload(kind: .txn)
        },
        Entry(name: "delete", summary: "puts and deletes of a key in turn") {
            KeyValueWorkload(kind: .delete)
        },
        Entry(name: "objects", summary: "a key is created, updated and deleted, each guarded as Kubernetes does it") {
            KeyValueWorkload(kind: .objects)
        },
        Entry(name: "mixed", summary: "reads and puts, by --read-ratio") { KeyValueWorkload(kind: .mixed) },
        Entry(name: "page", summary: "pages of 500 keys from a random key on") { KeyValueWorkload(kind: .page) },
        Entry(name: "pages", summary: "all keys, page by page of 500, each from where the last ended") {
            KeyValueWorkload(kind: .pages)
        },
        Entry(name: "list", summary: "whole lists of --keys keys") { KeyValueWorkload(kind: .list) },
        Entry(name: "count", summary: "counts of --keys keys") { KeyValueWorkload(kind: .count) },
        Entry(name: "kubernetes", summary: "what the apiserver of a cluster of --nodes nodes sends") {
            KubernetesWorkload()
        },
        Entry(name: "watch", summary: "puts, and --watchers watches of all their keys") {
            WatchWorkload(kind: .range)
        },
        Entry(name: "watch-keys", summary: "puts, and --watchers watches of one key each") {
            WatchWorkload(kind: .keys)
        },
        Entry(name: "watch-beside", summary: "puts of --keys keys beside --watchers watches of one other key each") {
            WatchWorkload(kind: .beside)
        },
        Entry(name: "catch-up", summary: "--watchers watches of all keys that begin --history revisions back") {
            WatchWorkload(kind: .catchUp)
        },
        Entry(name: "catch-up-keys", summary: "the same, of one of --keys keys each") {
            WatchWorkload(kind: .catchUpKeys)
        },
        Entry(name: "lease", summary: "--leases leases kept alive every ten seconds, and some that expire") {
            LeaseWorkload()
        },
        Entry(name: "lock", summary: "many that want one lock") { LockWorkload() },
        Entry(name: "compaction", summary: "puts without and with a compaction of --history revisions") {
            CompactionWorkload()
        },
        Entry(name: "recover", summary: "opening a store of --keys keys until it answers (stores in process alone)") {
            RecoverWorkload()
        },
    ]

    /// Every name with what it does.
    public static var descriptions: [(name: String, summary: String)] { entries.map { ($0.name, $0.summary) } }

    static func entry(_ name: String) -> Entry? { entries.first { $0.name == name } }
}
