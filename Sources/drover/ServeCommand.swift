import ArgumentParser
import Drover
import DroverBackends
import DroverServer
import Logging

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// `drover serve`.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve etcd's API from a database.",
        discussion: """
            Every option may be given in the environment as DROVER_NAME, or as KINE_NAME, with underscores: \
            DROVER_ENDPOINT, DROVER_LISTEN_ADDRESS.
            """
    )

    @Option(
        help:
            """
            The database: sqlite:///path/to.db, sqlite://relative.db, or sqlite alone for ./db/state.db; \
            postgres://user:password@host:5432/database; mysql://user:password@host:3306/database or \
            mysql://user:password@tcp(host:3306)/database. Better in the environment, DROVER_ENDPOINT, when it holds a \
            password.
            """
    )
    var endpoint: String?

    @OptionGroup var listening: ListenOptions

    @Option(help: "The URL that member lists show, when it is not the listen address. May be repeated.")
    var advertiseClientUrls: [String] = Environment.list("ADVERTISE_CLIENT_URLS")

    @Option(help: "Interval of watch progress notifications, such as 10m, 5s or 500ms.")
    var watchProgressNotifyInterval: String = Environment.value("WATCH_PROGRESS_NOTIFY_INTERVAL") ?? "10m"

    @Option(help: "The version that etcd clients are told.")
    var emulatedEtcdVersion: String = Environment.value("EMULATED_ETCD_VERSION") ?? DroverVersion.etcd

    @Option(help: "The most bytes of a request.")
    var maxRequestBytes: Int = Environment.integer("MAX_REQUEST_BYTES") ?? 1_572_864

    @Option(help: "The most operations in each list of a transaction; 32 times as many in all of it.")
    var maxTxnOps: Int = Environment.integer("MAX_TXN_OPS") ?? 128

    @Option(name: .customLong("ca-file"), help: "Certificates that the database server's must come from.")
    private var givenCaFile: String?
    var caFile: String? { givenCaFile ?? Environment.value("CA_FILE") }

    @Option(name: .customLong("cert-file"), help: "This client's certificate for the database server.")
    private var givenCertFile: String?
    var certFile: String? { givenCertFile ?? Environment.value("CERT_FILE") }

    @Option(name: .customLong("key-file"), help: "The key of that certificate.")
    private var givenKeyFile: String?
    var keyFile: String? { givenKeyFile ?? Environment.value("KEY_FILE") }

    @Flag(inversion: .prefixedNo, help: "Take any certificate of the database server.")
    var skipVerify = Environment.flag("SKIP_VERIFY")

    @Option(help: "How long the start waits for a database server that cannot be reached yet.")
    var waitForDatabase: String = Environment.value("WAIT_FOR_DATABASE") ?? "30s"

    @Option(help: "Event loops that serve connections; 0 is half the cores.")
    var eventLoops: Int = Environment.integer("EVENT_LOOPS") ?? 0

    @Option(
        help:
            "Bytes the database may take before writes are refused and the alarm NOSPACE is raised; 0 or less is no limit."
    )
    var quotaBackendBytes: Int = Environment.integer("QUOTA_BACKEND_BYTES") ?? 0

    @Option(
        help:
            "Bytes of values that were committed lately or read more than once and are kept in memory for lists; 0 keeps none."
    )
    var rowCacheBytes: Int = Environment.integer("ROW_CACHE_BYTES") ?? RowCache.defaultBytes

    @OptionGroup var security: ServerSecurityOptions
    @OptionGroup var compaction: CompactionOptions
    @OptionGroup var log: LogOptions
    @OptionGroup var kine: KineOptions

    func validate() throws {
        _ = try listening.listeners(hasCertificate: security.tls != nil)
        guard Duration.seconds(of: watchProgressNotifyInterval) != nil else {
            throw ValidationError("--watch-progress-notify-interval must be a duration such as 10m, 5s or 500ms.")
        }
        guard Duration.seconds(of: waitForDatabase) != nil else {
            throw ValidationError("--wait-for-database must be a duration such as 30s; 0 does not wait.")
        }
        guard maxRequestBytes > 0, maxRequestBytes <= 512 << 20 else {
            throw ValidationError("--max-request-bytes must be between 1 and 536870912.")
        }
        for name in Environment.notNumbers {
            throw ValidationError("DROVER_\(name) or KINE_\(name) in the environment must be a number.")
        }
        if [caFile, certFile, keyFile].contains(where: { $0 != nil }) || skipVerify,
            Backends.isEmbedded(DatabaseEndpoint.named(endpoint))
        {
            throw ValidationError(
                "--ca-file, --cert-file, --key-file and --skip-verify are for the connection to a database server, and this database has none. The client port's are --server-cert-file, --server-key-file and --trusted-ca-file."
            )
        }
        guard rowCacheBytes >= 0 else { throw ValidationError("--row-cache-bytes must not be negative.") }
        guard maxTxnOps > 0 else { throw ValidationError("--max-txn-ops must be at least 1.") }
        guard eventLoops >= 0, eventLoops <= 1_024 else {
            throw ValidationError("--event-loops must be between 0 and 1024.")
        }
        let version = emulatedEtcdVersion.split(separator: ".")
        guard version.count == 3, version.allSatisfy({ Int($0) != nil }) else {
            throw ValidationError("--emulated-etcd-version must be three numbers, such as \(DroverVersion.etcd).")
        }
    }

    func run() async throws {
        let logger = log.bootstrap()
        kine.warn(logger)
        // A client that goes away, or a file size limit, must end in an error, not the process.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        OpenFiles.raiseLimit()
        let connections = ServerLimits().connections
        if let files = OpenFiles.limit, files < connections + 100 {
            logger.warning(
                "the limit on open files is below what the most connections and the store take; raise it (ulimit -n, LimitNOFILE=)",
                metadata: ["files": "\(files)", "connections": "\(connections)"]
            )
        }
        AllocatorTuning.apply()
        Backends.tuneProcess()
        // Before anything that may take long: the first process of a container ignores signals that it has no handler for.
        Signals.listen()
        do {
            try await serve(logger)
        } catch let error as DroverError {
            if log.isJSON {
                logger.critical("the server could not be started", metadata: ["reason": "\(error.message)"])
            } else {
                FileHandles.standardError("error: \(error.message)\n")
            }
            throw ExitCode(1)
        }
    }

    private func serve(_ logger: Logger) async throws {
        var storeConfiguration = StoreConfiguration()
        storeConfiguration.logger = logger
        storeConfiguration.progressInterval = Duration.seconds(of: watchProgressNotifyInterval)!
        storeConfiguration.limits.txnOperations = maxTxnOps
        storeConfiguration.limits.cachedRowBytes = rowCacheBytes
        storeConfiguration.quotaBytes = Int64(quotaBackendBytes)
        storeConfiguration.databaseTLS = .init(
            authorityFile: caFile,
            certificateFile: certFile,
            keyFile: keyFile,
            skipsVerification: skipVerify
        )
        let store = try await open(storeConfiguration)

        var configuration = ServerConfiguration()
        configuration.listeners = try listening.listeners(hasCertificate: security.tls != nil)
        configuration.socketMode = try listening.socketPermissions
        configuration.advertisedClientURLs = advertiseClientUrls.flatMap { $0.split(separator: ",").map(String.init) }
        configuration.etcdVersion = emulatedEtcdVersion
        configuration.eventLoops = eventLoops
        configuration.tls = security.tls
        configuration.hostWhitelist = security.hostWhitelist.split(separator: ",").map(String.init)
        configuration.corsOrigins = security.cors.split(separator: ",").map(String.init)
        configuration.tokens.secondsToLive = Int64(security.authTokenTtl)
        configuration.tokens.jwt = try security.jwt()
        configuration.limits.requestBytes = maxRequestBytes
        configuration.limits.watchFragmentBytes = maxRequestBytes
        configuration.logger = logger
        let server: Server
        do {
            server = try await Server.start(store, configuration: configuration)
        } catch {
            await store.close()
            throw error
        }
        if log.isJSON {
            let urls = server.listeners.map(\.description).joined(separator: ", ")
            logger.info("serving", metadata: ["urls": "\(urls)", "backend": "\(store.backendName)"])
        } else {
            announce(server.listeners, store)
        }
        ServiceManager.tell("READY=1")
        let compactor = compaction.policy.map { policy in
            Task { await AutoCompactor(store, policy, logger: logger).run() }
        }

        await Signals.waitForTermination()
        ServiceManager.tell("STOPPING=1")
        compactor?.cancel()
        logger.info("stopping; calls in flight have a few seconds, a second signal ends at once")
        await server.shutDown()
        await store.close()
        logger.info("stopped")
    }

    /// Opens the store; a server that is not there yet, as when both are started together, is waited for.
    private func open(_ configuration: StoreConfiguration) async throws -> Store {
        let deadline = ContinuousClock.now + .seconds(Duration.seconds(of: waitForDatabase)!)
        var hasWarned = false
        while true {
            do {
                return try await Store.open(
                    DatabaseEndpoint.named(endpoint),
                    using: Backends.all,
                    configuration: configuration
                )
            } catch let error as DroverError {
                guard (error.cause as? DriverFailure)?.isUnreached == true, ContinuousClock.now < deadline else {
                    throw error
                }
                if Signals.hasCome { throw ExitCode(0) }
                if !hasWarned {
                    configuration.logger.warning(
                        "the database cannot be reached yet and is waited for",
                        metadata: ["reason": "\(error.message)", "longest": "\(waitForDatabase)"]
                    )
                }
                hasWarned = true
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    private func announce(_ listeners: [ServerConfiguration.Listener], _ store: Store) {
        let served = listeners.filter { !$0.servesMetricsOnly }
        let urls = served.map(\.description).joined(separator: ", ")
        var text = "drover \(DroverVersion.number) serves etcd's API on \(urls) (\(store.backendName))\n"
        for listener in listeners where listener.servesMetricsOnly { text += "metrics are on \(listener)/metrics\n" }
        if case .tcp(let host, let port) = served[0].address, served[0].isEncrypted == false {
            let shown =
                host == "0.0.0.0" || host == "::" || host.isEmpty ? "127.0.0.1:\(port)" : "\(served[0].address)"
            // A preloaded library may have taken the arguments away.
            let program = CommandLine.arguments.first ?? "drover"
            text += """
                try:  \(program) put hello world --endpoints \(shown)
                      \(program) get hello --endpoints \(shown)
                      etcdctl --endpoints=\(shown) get hello      (ETCDCTL_API=3 before etcd 3.4)
                      curl http://\(shown)/v3/kv/range -d '{"key":"aGVsbG8="}'
                      curl http://\(shown)/health

                """
        }
        FileHandles.standardOutput(text)
    }
}
