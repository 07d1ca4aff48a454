import DroverClient
import EtcdAPI
import SwiftProtobuf

/// What a command works with: a connection, its time limit, and a way to print.
struct ClientSession: Sendable {
    let client: EtcdClient
    let options: ClientOptions
    let printer: Printer
    /// Kept, since a password that was typed is not asked for again.
    private let configuration: EtcdClient.Configuration
    private static let pauseNanoseconds: UInt64 = 200_000_000

    init(_ configuration: EtcdClient.Configuration, _ options: ClientOptions) async throws {
        client = try await EtcdClient.connect(configuration)
        self.configuration = configuration
        self.options = options
        printer = Printer(form: options.writeOut, isHex: options.hex)
    }

    /// A unary call that must end within `--command-timeout`.
    func call<Reply: Message>(_ path: String, _ request: some Message) async throws -> Reply {
        try await withinTimeout { try await client.unary("/etcdserverpb.\(path)", request) }
    }

    /// A unary call that waits for as long as it takes.
    func wait<Reply: Message>(_ path: String, _ request: some Message) async throws -> Reply {
        try await client.unary(path, request)
    }

    /// A unary call that may take long, within the time limit that was asked for, if any.
    func work<Reply: Message>(_ path: String, _ request: some Message) async throws -> Reply {
        options.ownTimeout == nil
            ? try await wait("/etcdserverpb.\(path)", request) : try await call(path, request)
    }

    /// A call that waits for something, made again through whichever server answers when one is lost: what it asks for must
    /// be the same for the server when it comes again, as a lock or a candidacy with the same lease is.
    ///
    /// - Returns: the answer, and the session that it came through.
    func waitThrough<Reply: Message>(
        _ path: String,
        _ request: some Message
    ) async throws -> (reply: Reply, session: ClientSession) {
        var session = self
        while true {
            do {
                return (try await session.wait(path, request), session)
            } catch let error as ClientError where error.code == 14 {
                await session.close()
                session = try await reconnected()
            }
        }
    }

    func withinTimeout<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) async throws -> R {
        let nanoseconds = UInt64(Duration.seconds(of: options.commandTimeout)! * 1e9)
        return try await withThrowingTaskGroup(of: R?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(nanoseconds: nanoseconds)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let result = first else {
                // What waits for the connection does not heed that its task is cancelled.
                Task.detached { [client] in await client.close() }
                throw CommandFailure.failed("context deadline exceeded")
            }
            return result
        }
    }

    /// Another server's session, with the same flags.
    func session(at endpoint: Endpoint) async throws -> ClientSession {
        var configuration = configuration
        configuration.endpoints = [endpoint]
        return try await ClientSession(configuration, options)
    }

    /// A session on another connection, to whichever endpoint answers.
    func anew() async throws -> ClientSession {
        try await ClientSession(configuration, options)
    }

    /// A session on another connection, as soon as an endpoint answers.
    ///
    /// - Throws: `CancellationError` alone.
    func reconnected() async throws -> ClientSession {
        while true {
            try await Task.sleep(nanoseconds: Self.pauseNanoseconds)
            if let other = try? await anew() { return other }
        }
    }

    func close() async { await client.close() }
}
