import Drover

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Prometheus text, with etcd's names where the same thing is measured.
enum MetricsText {
    private struct Page {
        var text = ""

        mutating func head(_ name: String, _ type: String, _ help: String) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        }

        mutating func one(_ name: String, _ type: String, _ help: String, _ value: some Any) {
            head(name, type, help)
            text += "\(name) \(value)\n"
        }
    }

    private static let codeNames = [
        "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
        "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
        "Internal", "Unavailable", "DataLoss", "Unauthenticated",
    ]

    /// - Parameters:
    ///   - database: what it says; nil where it was not read, and what is its own is left out.
    ///   - isOut: whether it cannot be read.
    static func render(
        _ context: LoopContext,
        _ database: (meta: StoreMeta, size: (total: Int64, inUse: Int64))?,
        isOut: Bool = false
    ) -> String {
        var page = Page()
        let figures = context.store.metrics()
        if database != nil || isOut {
            page.one(
                "etcd_server_has_leader",
                "gauge",
                "Whether the database can be read: there is no raft.",
                isOut ? 0 : 1
            )
        }
        page.head("etcd_server_version", "gauge", "The version etcd clients are told.")
        page.text += "etcd_server_version{server_version=\"\(context.information.etcdVersion)\"} 1\n"
        page.head("etcd_cluster_version", "gauge", "The cluster version etcd clients are told.")
        page.text += "etcd_cluster_version{cluster_version=\"\(context.information.clusterVersion)\"} 1\n"
        if let (meta, size) = database { state(meta, size, &page) }
        // Where there is none, alerts on what is left of it have nothing to go by.
        if context.store.quota.bytes > 0 {
            page.one(
                "etcd_server_quota_backend_bytes",
                "gauge",
                "Bytes the database may take.",
                context.store.quota.bytes
            )
        }
        page.one("etcd_debugging_mvcc_watcher_total", "gauge", "Watches.", figures.feed.watchers)
        page.one("etcd_debugging_mvcc_slow_watcher_total", "gauge", "Watches behind the feed.", figures.feed.slow)
        page.one("etcd_debugging_mvcc_events_total", "counter", "Events sent to watches.", figures.feed.events)
        page.one(
            "drover_watch_passes_total",
            "counter",
            "Passes over the log for watches behind.",
            figures.feed.passes
        )
        page.one("etcd_debugging_lease_granted_total", "counter", "Leases granted.", figures.leases.granted)
        page.one("etcd_debugging_lease_revoked_total", "counter", "Leases revoked.", figures.leases.revoked)
        page.one("etcd_debugging_lease_renewed_total", "counter", "Renewals of leases.", figures.leases.renewed)
        page.one(
            "etcd_debugging_server_lease_expired_total",
            "counter",
            "Leases expired.",
            figures.leases.expired
        )
        page.one(
            "drover_sweep_seconds_total",
            "counter",
            "Seconds spent in compaction's physical part.",
            figures.sweepSeconds
        )
        page.one(
            "drover_sweep_step_longest_seconds",
            "gauge",
            "The longest step of compaction's physical part.",
            figures.longestSweepSeconds
        )
        page.one(
            "drover_count_walks_total",
            "counter",
            "Ranges counted key by key, since their count was not known.",
            figures.countWalks
        )
        page.one(
            "drover_range_rows_total",
            "counter",
            "Rows of ranges of many rows that were read with their values.",
            figures.cachedRows.rows
        )
        page.one(
            "drover_range_rows_cached_total",
            "counter",
            "Those of them whose values were kept in memory, about.",
            figures.cachedRows.kept
        )
        page.one("drover_row_cache_bytes", "gauge", "Bytes of values kept in memory.", figures.cachedRows.bytes)
        page.one("drover_leases", "gauge", "Leases.", figures.leaseCount)
        operations(context, figures, &page)
        commits(figures.commits, &page)
        page.one(
            "drover_batch_conflicts_total",
            "counter",
            "Tries of batches that met another writer and were made again.",
            figures.conflicts
        )
        calls(context, &page)
        page.one(
            "drover_connections",
            "gauge",
            "Client connections.",
            context.metrics.connections.load(ordering: .relaxed)
        )
        page.one(
            "etcd_network_client_grpc_received_bytes_total",
            "counter",
            "Bytes that clients have sent over HTTP/2.",
            context.metrics.receivedBytes.load(ordering: .relaxed)
        )
        page.one(
            "etcd_network_client_grpc_sent_bytes_total",
            "counter",
            "Bytes that clients were sent over HTTP/2.",
            context.metrics.sentBytes.load(ordering: .relaxed)
        )
        let watches = context.metrics.calls(.watch)
        page.one(
            "etcd_debugging_mvcc_watch_stream_total",
            "gauge",
            "Watch streams.",
            watches.started.load(ordering: .relaxed) - watches.ok.load(ordering: .relaxed)
                - watches.failed.withLock { $0.values.reduce(0, +) }
        )
        process(context.metrics, &page)
        return page.text
    }

    private static func state(_ meta: StoreMeta, _ size: (total: Int64, inUse: Int64), _ page: inout Page) {
        page.one("etcd_mvcc_db_total_size_in_bytes", "gauge", "Bytes the database takes.", size.total)
        page.one("etcd_mvcc_db_total_size_in_use_in_bytes", "gauge", "Bytes of the database in use.", size.inUse)
        page.one("etcd_debugging_mvcc_current_revision", "gauge", "The store's revision.", meta.revision)
        page.one("etcd_debugging_mvcc_compact_revision", "gauge", "The compaction mark.", meta.compacted)
    }

    private static func operations(_ context: LoopContext, _ figures: Store.Metrics, _ page: inout Page) {
        page.one("etcd_mvcc_put_total", "counter", "Keys put, also in transactions.", figures.keys.puts)
        page.one("etcd_mvcc_delete_total", "counter", "Keys deleted, also in transactions.", figures.keys.deletes)
        let names: [(Route, String)] = [(.range, "range"), (.txn, "txn")]
        for (route, name) in names {
            page.one(
                "etcd_mvcc_\(name)_total",
                "counter",
                "Calls of \(name).",
                context.metrics.calls(route).ok.load(ordering: .relaxed)
            )
        }
    }

    private static func commits(
        _ commits: (batches: Int, calls: Int, failed: Int, seconds: Double, buckets: [Int]),
        _ page: inout Page
    ) {
        let name = "etcd_disk_backend_commit_duration_seconds"
        page.head(name, "histogram", "Seconds from the begin to the commit of a batch.")
        var total = 0
        for (bound, count) in zip(CommitCounters.bounds, commits.buckets) {
            total += count
            page.text += "\(name)_bucket{le=\"\(bound)\"} \(total)\n"
        }
        total += commits.buckets.last ?? 0
        page.text += "\(name)_bucket{le=\"+Inf\"} \(total)\n\(name)_sum \(commits.seconds)\n\(name)_count \(total)\n"
        page.one("drover_batches_total", "counter", "Batches committed.", commits.batches)
        page.one("drover_batch_calls_total", "counter", "Calls in committed batches.", commits.calls)
        page.one("drover_batches_failed_total", "counter", "Batches that failed.", commits.failed)
    }

    private static func calls(_ context: LoopContext, _ page: inout Page) {
        func labels(_ route: Route) -> String {
            let (service, method) = route.serviceAndMethod
            let type = route.streamsRequests ? "bidi_stream" : route.streamsReplies ? "server_stream" : "unary"
            return "grpc_method=\"\(method)\",grpc_service=\"\(service)\",grpc_type=\"\(type)\""
        }
        page.head("grpc_server_started_total", "counter", "Calls started.")
        for route in Route.allCases {
            let started = context.metrics.calls(route).started.load(ordering: .relaxed)
            page.text += "grpc_server_started_total{\(labels(route))} \(started)\n"
        }
        page.head("grpc_server_handled_total", "counter", "Calls ended, by status.")
        for route in Route.allCases {
            let calls = context.metrics.calls(route)
            page.text +=
                "grpc_server_handled_total{grpc_code=\"OK\",\(labels(route))} \(calls.ok.load(ordering: .relaxed))\n"
            for (code, count) in calls.failed.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
                let name = codeNames.indices.contains(code) ? codeNames[code] : "Unknown"
                page.text += "grpc_server_handled_total{grpc_code=\"\(name)\",\(labels(route))} \(count)\n"
            }
        }
    }

    private static func process(_ metrics: ServerMetrics, _ page: inout Page) {
        var usage = rusage()
        #if canImport(Darwin)
            getrusage(RUSAGE_SELF, &usage)
        #else
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        #endif
        let seconds =
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        page.one("process_cpu_seconds_total", "counter", "Seconds of processor time.", seconds)
        page.one(
            "process_start_time_seconds",
            "gauge",
            "When the process started, in seconds since 1970.",
            metrics.startedAt
        )
        if let files = opendir("/proc/self/fd") {
            var count = -3
            while readdir(files) != nil { count += 1 }
            closedir(files)
            page.one("process_open_fds", "gauge", "Open files and sockets.", count)
        }
        if let limit = OpenFiles.limit {
            page.one("process_max_fds", "gauge", "Files and sockets that may be open.", limit)
        }
        if let resident = residentBytes() {
            page.one("process_resident_memory_bytes", "gauge", "Bytes of resident memory.", resident)
        }
    }

    private static func residentBytes() -> Int? {
        guard let file = fopen("/proc/self/statm", "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, 256, file) != nil else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let fields = text.split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }
}
