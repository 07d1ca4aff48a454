import DroverClient
import NIOCore
import NIOPosix
import NIOSSL

/// A server of etcd's API, over the wire.
struct WireTarget: BenchTarget {
    let name: String
    let endpoint: Endpoint
    let tls: ClientTLS?
    /// Name and password; nil where there is no auth.
    let user: (name: String, password: String)?
    let threads: Int
    let details: String

    var isInProcess: Bool { false }
    var isOnServer: Bool { false }

    var process: Int32? {
        if endpoint.isUnixSocket { return ProcessUsage.listener(atSocket: endpoint.host) }
        let isHere = ["127.0.0.1", "localhost", "::1"].contains(endpoint.host)
        return isHere ? ProcessUsage.listener(at: endpoint.host, port: endpoint.port) : nil
    }

    /// - Throws: `ClientError` when nobody answers.
    init(
        name: String,
        endpoint: Endpoint,
        tls: ClientTLS?,
        user: (name: String, password: String)?,
        threads: Int
    ) async throws {
        self.name = name
        self.endpoint = endpoint
        self.tls = tls
        self.user = user
        self.threads = threads
        details = try await Self.version(endpoint, tls)
    }

    private static func version(_ endpoint: Endpoint, _ tls: ClientTLS?) async throws -> String {
        let connection = try await EtcdConnection.connect(to: endpoint, tls: tls)
        defer { Task { await connection.close() } }
        // The version is field 2 of Maintenance.Status; who asks for a user first tells no version.
        guard let reply = try? await connection.unary("/etcdserverpb.Maintenance/Status", []),
            let version = try? reply.withUnsafeBytes({ try WireForm.readText($0) })
        else { return "\(endpoint)" }
        return version.first?.isNumber == true ? "\(endpoint), etcd API \(version)" : "\(endpoint)"
    }

    func open(connections: Int) async throws -> any BenchSession {
        var token: String?
        if let user {
            let connection = try await EtcdConnection.connect(to: endpoint, tls: tls)
            let reply = try await connection.unary(
                "/etcdserverpb.Auth/Authenticate",
                WireForm.credentials(user.name, user.password)
            )
            token = try reply.withUnsafeBytes { try WireForm.readText($0) }
            await connection.close()
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        let encrypts = endpoint.isEncrypted ?? (tls != nil)
        let known = token
        let context = encrypts ? try (tls ?? ClientTLS()).context() : nil
        let endpoint = endpoint
        let bootstrap = ClientBootstrap(group: group)
            .channelOption(.socketOption(.so_reuseaddr), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if !endpoint.isUnixSocket {
                        try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
                    }
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: endpoint.serverName)
                        )
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        LoadConnection(authority: endpoint.authority, isEncrypted: encrypts, token: known)
                    )
                }
            }
        do {
            var channels: [any Channel] = []
            for _ in 0..<max(1, connections) {
                let channel =
                    endpoint.isUnixSocket
                    ? try await bootstrap.connect(unixDomainSocketPath: endpoint.host).get()
                    : try await bootstrap.connect(host: endpoint.host, port: endpoint.port).get()
                channels.append(channel)
            }
            return WireSession(group: group, channels: channels)
        } catch {
            try? await group.shutdownGracefully()
            throw ClientError.unavailable("\(name) cannot be reached at \(endpoint): \(error)")
        }
    }
}
