public import NIOCore
public import SwiftProtobuf
import EtcdAPI
import Synchronization

/// A client of one server out of several endpoints, with its user's token.
public final class EtcdClient: Sendable {
    /// Whom to ask, and as whom.
    public struct Configuration: Sendable {
        /// Tried in order until one answers.
        public var endpoints: [Endpoint]
        /// How to encrypt; nil is cleartext unless an endpoint says `https`.
        public var tls: ClientTLS?
        /// How long a connection may take.
        public var dialTimeout: TimeAmount = .seconds(2)
        /// The user of auth; nil for none.
        public var user: String?
        /// The user's password.
        public var password = ""

        /// A configuration for these endpoints.
        public init(endpoints: [Endpoint]) {
            self.endpoints = endpoints
        }
    }

    /// The endpoint that answered.
    public let endpoint: Endpoint
    private let connection: EtcdConnection
    private let configuration: Configuration
    private let token = Mutex<String?>(nil)

    private init(_ endpoint: Endpoint, _ connection: EtcdConnection, _ configuration: Configuration) {
        self.endpoint = endpoint
        self.connection = connection
        self.configuration = configuration
    }

    /// Connects to the first endpoint that answers, and logs the user in.
    ///
    /// - Throws: ``ClientError``: what the last endpoint said.
    public static func connect(_ configuration: Configuration) async throws -> EtcdClient {
        var failure = ClientError(code: 3, message: "there is no endpoint")
        for endpoint in configuration.endpoints {
            do {
                let connection = try await EtcdConnection.connect(
                    to: endpoint,
                    tls: configuration.tls,
                    timeout: configuration.dialTimeout
                )
                let client = EtcdClient(endpoint, connection, configuration)
                // A server that takes connections and says nothing is given up like one that does not take them.
                let limit = Task {
                    try await Task.sleep(nanoseconds: UInt64(max(0, configuration.dialTimeout.nanoseconds)))
                    await client.close()
                }
                defer { limit.cancel() }
                do {
                    try await client.logIn()
                } catch {
                    await client.close()
                    throw error
                }
                return client
            } catch let error as ClientError {
                failure = error
                // A server that says no says it for all of them.
                if error.code != 14 { throw error }
            }
        }
        throw failure
    }

    private func logIn() async throws {
        guard let user = configuration.user else { return }
        var request = PBAuthenticateRequest()
        request.name = user
        request.password = configuration.password
        do {
            let reply: PBAuthenticateResponse = try await connection.unary("/etcdserverpb.Auth/Authenticate", request)
            token.withLock { $0 = reply.token }
        } catch let error as ClientError where error.message == "etcdserver: authentication is not enabled" {
            // A name may be given before there are users to compare it with.
        }
    }

    private var metadata: [(String, String)] {
        token.withLock { $0 }.map { [("token", $0)] } ?? []
    }

    /// Makes a unary call.
    ///
    /// - Throws: ``ClientError`` with the server's code and text.
    public func unary<Reply: Message>(_ path: String, _ request: some Message) async throws -> Reply {
        do {
            return try await connection.unary(path, request, metadata: metadata)
        } catch let error as ClientError
            where error.message == "etcdserver: invalid auth token" && configuration.user != nil
        {
            // Tokens end while they are not used.
            try await logIn()
            return try await connection.unary(path, request, metadata: metadata)
        }
    }

    /// Opens a call that may carry any number of messages either way.
    ///
    /// - Parameters:
    ///   - path: such as `/etcdserverpb.Watch/Watch`.
    ///   - others: further headers, such as `hasleader`. Default: none but the user's token.
    /// - Throws: ``ClientError`` with code 14 when the connection is lost.
    public func open(_ path: String, metadata others: [(String, String)] = []) async throws -> EtcdCall {
        try await connection.open(path, metadata: metadata + others)
    }

    /// Closes the connection; calls in flight fail.
    public func close() async {
        await connection.close()
    }
}
