public import Logging

/// How the server listens, and its limits.
public struct ServerConfiguration: Sendable {
    /// Where it listens.
    public enum Address: Sendable, Hashable, CustomStringConvertible {
        /// A host and a port; port 0 takes a free one.
        case tcp(host: String, port: Int)
        /// A path; a socket that nobody listens on any more is replaced.
        case unix(path: String)

        public var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path): "unix://\(path)"
            }
        }
    }

    /// An address that it listens on, and how.
    public struct Listener: Sendable, Hashable, CustomStringConvertible {
        /// Where.
        public var address: Address
        /// Whether clients speak TLS there; it needs ``ServerConfiguration/tls``. Nil, the default, is yes where there is
        /// that, so that nothing is served in cleartext by oversight.
        public var isEncrypted: Bool?
        /// Whether nothing is served there but health and metrics. Default false. etcd: `--listen-metrics-urls`.
        public var servesMetricsOnly: Bool

        /// An address.
        public init(_ address: Address, isEncrypted: Bool? = nil, servesMetricsOnly: Bool = false) {
            self.address = address
            self.isEncrypted = isEncrypted
            self.servesMetricsOnly = servesMetricsOnly
        }

        /// Its URL, as etcd writes them.
        public var description: String {
            switch address {
            case .tcp: "\(isEncrypted == true ? "https" : "http")://\(address)"
            case .unix(let path): "\(isEncrypted == true ? "unixs" : "unix")://\(path)"
            }
        }
    }

    /// Everything it listens on, for clients first; at least one. Default 127.0.0.1:2379.
    public var listeners = [Listener(.tcp(host: "127.0.0.1", port: 2379))]
    /// The address of the first of ``listeners``.
    public var address: Address {
        get { listeners[0].address }
        set { listeners[0].address = newValue }
    }
    /// The permissions of unix sockets. Default 0600: this user alone.
    public var socketMode: UInt32 = 0o600
    /// URLs that members are told of; derived from the address when empty.
    public var advertisedClientURLs: [String] = []
    /// Event loops. Default half the cores, at least one: the engine's threads need the rest.
    public var eventLoops = 0
    /// The version that etcd clients are told. At least 3.6 makes Kubernetes use watch progress requests.
    public var etcdVersion = "3.6.14"
    /// Seconds that calls in flight have to finish when the server stops.
    public var shutdownGraceSeconds = 5
    /// TLS on the addresses that ask for it; nil is cleartext.
    public var tls: ServerTLS?
    /// Hosts that requests of HTTP may name in cleartext. Default any. etcd: `--host-whitelist`.
    public var hostWhitelist = ["*"]
    /// Origins whose pages may ask. Default any. etcd: `--cors`.
    public var corsOrigins = ["*"]
    /// How the tokens of auth are made.
    public var tokens = TokenAuthority()
    /// Limits on what clients can make grow.
    public var limits = ServerLimits()
    /// Where it logs.
    public var logger = Logger(label: "drover.server")

    /// The defaults.
    public init() {}
}

/// Every limit of the server on what clients can make grow, in one place, each with its unit.
public struct ServerLimits: Sendable {
    /// Connections.
    public var connections = 20_000
    /// Streams of one connection.
    public var streamsPerConnection: UInt32 = 100_000
    /// Bytes of one request message; above it the answer is InvalidArgument. etcd: `--max-request-bytes`.
    public var requestBytes = 1_572_864
    /// Bytes that a message may be longer than ``requestBytes`` and still be read, to be answered as etcd does.
    public var requestSlackBytes = 512 << 10
    /// Bytes of a connection's requests that have arrived in part; no less than two of the longest, so that one can arrive,
    /// in JSON too. Of a quarter long ones are let in at a time, while of others no more than a stream's window arrives.
    public var bufferedRequestBytes = 64 << 20
    var usableBufferedRequestBytes: Int { max(bufferedRequestBytes, 2 * (requestBytes + requestSlackBytes)) }
    /// Bytes of a connection's replies that the client has not taken; above it further calls are refused.
    public var unreadReplyBytes = 64 << 20
    /// Bytes of a connection's watches that the client has not taken, of all its watch streams together; above it they fall
    /// behind, and go on from the log.
    public var connectionWatchBytes = 32 << 20
    /// Bytes of a stream's replies that the client has not taken; above it the stream's requests are not read on.
    public var unreadStreamBytes = 1 << 20
    /// Bytes of the receive window of a connection.
    public var connectionWindowBytes = 16 << 20
    /// Bytes of the receive window of a stream, which is widened for a longer message when there is room for it.
    public var streamWindowBytes = 64 << 10
    /// Bytes of a header block.
    public var headerBytes = 64 << 10
    /// Bytes of a streamed list that may be on their way to one client.
    public var listInFlightBytes = 1 << 20
    /// Bytes of replies on their way to the clients of one event loop, above which no further list is begun.
    public var listsPerLoopBytes = 3 << 20
    /// The same for one connection.
    public var connectionListBytes = 4 << 20
    /// Bytes of a value that is read on the event loop.
    public var inlineValueBytes = 64 << 10
    /// Control frames (pings, priorities, answers to settings) of a connection in 100 ms.
    public var controlFramesPerTenth = 2_000
    /// Changes of settings of a connection in 100 ms: each may be one of every stream.
    public var settingsPerTenth = 50
    /// Resets of streams of a connection in 100 ms, by the client or for its faults.
    public var resetsPerTenth = 2_000
    /// Seconds a new connection has to say which protocol it speaks.
    public var greetingSeconds: Int64 = 10
    /// Seconds a connection of HTTP/1.1 has for its first request's head.
    public var headSeconds: Int64 = 10
    /// Seconds between two parts of a request's body of HTTP/1.1, but of a call that may send for ever.
    public var bodySeconds: Int64 = 30
    /// Seconds a connection of HTTP/1.1 is kept between requests.
    public var idleSeconds: Int64 = 300
    /// Bytes of one part of a fragmented watch response, about.
    public var watchFragmentBytes = 1_572_864
    /// Bytes of one watch response that is no fragment, about; a revision is not divided. Clients of many languages take 4 MiB
    /// at most.
    public var watchResponseBytes = 1_572_864

    /// The defaults; those that a user may meet are named in docs/operations.md.
    public init() {}
}
