public import Drover
import EtcdAPI
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Serves a store to etcd clients: the wire form, JSON and plain paths on one port.
public final class Server: Sendable {
    /// The first address it listens on, with the port that was taken.
    public var address: ServerConfiguration.Address { listeners[0].address }
    /// Everything it listens on, with the ports that were taken.
    public let listeners: [ServerConfiguration.Listener]

    private let group: MultiThreadedEventLoopGroup
    private let channels: [any Channel]
    /// The unix sockets that are listened on, with their files' numbers.
    private let sockets: [(path: String, inode: UInt64?)]
    private let contexts: [LoopContext]
    private let configuration: ServerConfiguration
    private let isDown = Atomic<Bool>(false)

    private init(
        listeners: [ServerConfiguration.Listener],
        group: MultiThreadedEventLoopGroup,
        channels: [any Channel],
        contexts: [LoopContext],
        configuration: ServerConfiguration
    ) {
        self.listeners = listeners
        sockets = listeners.compactMap { listener in
            guard case .unix(let path) = listener.address else { return nil }
            return (path, Self.inode(path))
        }
        self.group = group
        self.channels = channels
        self.contexts = contexts
        self.configuration = configuration
    }

    /// Starts to listen.
    ///
    /// - Throws: ``DroverError`` with ``DroverError/Code/badEndpoint`` when the address cannot be listened on; the
    ///   message says why.
    public static func start(_ store: Store, configuration: ServerConfiguration = .init()) async throws -> Server {
        var configuration = configuration
        for i in configuration.listeners.indices where configuration.listeners[i].isEncrypted == nil {
            configuration.listeners[i].isEncrypted = configuration.tls != nil
        }
        let cores = max(1, System.coreCount)
        let loops = configuration.eventLoops > 0 ? configuration.eventLoops : max(1, cores / 2)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        let metrics = ServerMetrics()
        do {
            let contexts = try makeContexts(store, configuration, group, metrics)
            let tls = try configuration.tls.map { try TLSContexts($0, logger: configuration.logger) }
            var channels: [any Channel] = []
            var listeners: [ServerConfiguration.Listener] = []
            do {
                for listener in configuration.listeners {
                    let channel = try await listen(listener, contexts, configuration, group, tls)
                    channels.append(channel)
                    listeners.append(taken(listener, channel))
                }
            } catch {
                for channel in channels { try? await channel.close() }
                for case .unix(let path) in listeners.map(\.address) { unlink(path) }
                throw error
            }
            let information = contexts[0].information
            store.announce(name: information.memberName, clientURLs: information.clientURLs)
            return Server(
                listeners: listeners,
                group: group,
                channels: channels,
                contexts: contexts,
                configuration: configuration
            )
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// The first address of this machine that others may reach; those of IPv4 come first.
    private static func ownAddress() -> String? {
        let addresses = (try? System.enumerateDevices())?.compactMap(\.address) ?? []
        let own = addresses.filter { address in
            guard let text = address.ipAddress else { return false }
            return !text.hasPrefix("127.") && text != "::1" && !text.hasPrefix("fe80")
        }
        let ofIPv4 = own.first { if case .v4 = $0 { true } else { false } }
        return (ofIPv4 ?? own.first)?.ipAddress
    }

    private static func describe(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        switch error.errnoCode {
        case EADDRINUSE: return "another process listens there; stop it or choose another --listen-address"
        case EACCES: return "this user may not listen there"
        case EADDRNOTAVAIL: return "this machine does not have that address"
        default: return error.description
        }
    }

    private static func makeContexts(
        _ store: Store,
        _ configuration: ServerConfiguration,
        _ group: MultiThreadedEventLoopGroup,
        _ metrics: ServerMetrics
    ) throws -> [LoopContext] {
        var urls = configuration.advertisedClientURLs
        if urls.isEmpty {
            urls = configuration.listeners.filter { !$0.servesMetricsOnly }.map { listener in
                guard case .tcp(let host, let port) = listener.address, host == "0.0.0.0" || host == "::",
                    let own = ownAddress()
                else { return listener.description }
                var reachable = listener
                reachable.address = .tcp(host: own, port: port)
                configuration.logger.notice(
                    "clients that ask for members are told an address of this machine; --advertise-client-urls names another",
                    metadata: ["url": "\(reachable)"]
                )
                return reachable.description
            }
        }
        let information = ServerInformation(
            etcdVersion: configuration.etcdVersion,
            clientURLs: urls,
            // Several members need names of their own.
            memberName: store.queuesPoints ? "drover-\(String(store.memberID, radix: 16).suffix(8))" : "drover"
        )
        let downgrade = SharedDowngrade()
        let passwords = PasswordWorker()
        let tokenUses = TokenUses()
        return try group.makeIterator().map { loop in
            try LoopContext(
                loop: loop,
                store: store,
                configuration: configuration,
                metrics: metrics,
                information: information,
                downgrade: downgrade,
                passwords: passwords,
                tokenUses: tokenUses
            )
        }
    }

    private static func listen(
        _ listener: ServerConfiguration.Listener,
        _ contexts: [LoopContext],
        _ configuration: ServerConfiguration,
        _ group: MultiThreadedEventLoopGroup,
        _ tls: TLSContexts?
    ) async throws -> any Channel {
        if listener.isEncrypted == true && tls == nil {
            throw DroverError(
                .badEndpoint,
                message: "drover: cannot listen on \(listener.address) with TLS: there is no certificate"
            )
        }
        let logger = configuration.logger
        let metrics = contexts[0].metrics
        let refusals = LogThrottle()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptFaults(logger))
                }
            }
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.maxMessagesPerRead, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelInitializer { channel in
                if case .tcp = listener.address {
                    try? channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                    keepAlive(channel)
                }
                // Counted from here on: those that have said nothing yet take a descriptor, too.
                let others = metrics.connections.add(1, ordering: .relaxed).oldValue
                channel.closeFuture.whenComplete { _ in metrics.connections.subtract(1, ordering: .relaxed) }
                if others >= configuration.limits.connections {
                    if let count = refusals.admit() {
                        logger.warning(
                            "a connection was refused: there are as many as allowed",
                            metadata: ["since the last warning": "\(count)"]
                        )
                    }
                    return channel.close()
                }
                let context = contexts.first { $0.loop === channel.eventLoop }!
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if listener.isEncrypted == true, let tls {
                        try pipeline.addHandler(NIOSSLServerHandler(context: tls.current))
                    }
                    try pipeline.addHandler(ProtocolDetector(context, listener))
                }
            }
        do {
            switch listener.address {
            case .tcp(let host, let port):
                return try await bootstrap.bind(to: try socketAddress(host, port)).get()
            case .unix(let path):
                let channel = try await bootstrap.bind(
                    unixDomainSocketPath: path,
                    cleanupExistingSocketFile: try isStale(path)
                ).get()
                chmod(path, configuration.socketMode)
                return channel
            }
        } catch let error as DroverError {
            throw error
        } catch {
            throw DroverError(
                .badEndpoint,
                message: "drover: cannot listen on \(listener.address): \(describe(error))",
                cause: error
            )
        }
    }

    /// The address of a host; of a name that has several, the first of IPv4, as Go's programs take it.
    private static func socketAddress(_ host: String, _ port: Int) throws -> SocketAddress {
        if let address = try? SocketAddress(ipAddress: host, port: port) { return address }
        var hints = addrinfo()
        hints.ai_family = AF_INET
        hints.ai_flags = AI_PASSIVE
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        var found: UnsafeMutablePointer<addrinfo>?
        defer { if let found { freeaddrinfo(found) } }
        guard getaddrinfo(host, "\(port)", &hints, &found) == 0, let address = found?.pointee.ai_addr else {
            return try SocketAddress.makeAddressResolvingHost(host, port: port)
        }
        return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { SocketAddress($0.pointee, host: host) }
    }

    /// A peer whose machine has gone must not keep its watches and its place for ever. One that is there and does not read
    /// may: a limit on data that is not taken (TCP_USER_TIMEOUT) would end lists whose readers pause for minutes.
    private static func keepAlive(_ channel: any Channel) {
        try? channel.syncOptions?.setOption(.socketOption(.so_keepalive), value: 1)
        #if os(Linux)
            for (name, value) in [(TCP_KEEPIDLE, 60), (TCP_KEEPINTVL, 20), (TCP_KEEPCNT, 3)] {
                let option = ChannelOptions.socket(SocketOptionLevel(IPPROTO_TCP), SocketOptionName(name))
                try? channel.syncOptions?.setOption(option, value: SocketOptionValue(value))
            }
        #endif
    }

    /// Whether a socket file is there that nobody listens on.
    ///
    /// - Throws: ``DroverError`` where somebody does, or it is another kind of file.
    private static func isStale(_ path: String) throws -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0 else { return false }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw DroverError(.badEndpoint, message: "drover: there is a file at the socket's path; remove it first")
        }
        #if canImport(Glibc)
            let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let probe = socket(AF_UNIX, SOCK_STREAM, 0)
        #endif
        defer { close(probe) }
        // One that is listened on and does not take connections just now must not be waited for.
        _ = fcntl(probe, F_SETFL, O_NONBLOCK)
        let address = try SocketAddress(unixDomainSocketPath: path)
        if address.withSockAddr({ connect(probe, $0, socklen_t($1)) }) != 0 && errno == ECONNREFUSED { return true }
        throw DroverError(.badEndpoint, message: "drover: another process listens on the socket at this path")
    }

    private static func inode(_ path: String) -> UInt64? {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    private static func taken(
        _ listener: ServerConfiguration.Listener,
        _ channel: any Channel
    ) -> ServerConfiguration.Listener {
        var listener = listener
        if case .tcp(let host, _) = listener.address, let port = channel.localAddress?.port {
            listener.address = .tcp(host: host, port: port)
        }
        return listener
    }

    /// Takes no more connections and calls, lets those in flight finish, ends watches so that clients reconnect, and
    /// closes. The store stays open. Does nothing the second time.
    public func shutDown() async {
        if isDown.exchange(true, ordering: .sequentiallyConsistent) { return }
        for channel in channels { try? await channel.close() }
        // At once, since another server may put its own there; unless one has already.
        for (path, inode) in sockets where Self.inode(path) == inode { unlink(path) }
        for context in contexts {
            try? await context.loop.submit {
                for connection in context.connections.values { connection.shutDownGracefully() }
                context.flush()
            }.get()
        }
        let deadline = NIODeadline.now() + .seconds(Int64(configuration.shutdownGraceSeconds))
        while NIODeadline.now() < deadline {
            var open = 0
            for context in contexts {
                open += (try? await context.loop.submit { context.connections.count }.get()) ?? 0
            }
            if open == 0 { break }
            try? await Task.sleep(nanoseconds: 10_000_000)
        }
        for context in contexts {
            try? await context.loop.submit {
                for connection in context.connections.values { connection.close() }
                context.stop()
            }.get()
        }
        contexts.first?.passwords.stop()
        try? await group.shutdownGracefully()
    }
}
