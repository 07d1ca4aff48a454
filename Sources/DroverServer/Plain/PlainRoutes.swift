import Drover
import EtcdAPI
import NIOCore

/// A request of a plain path.
struct PlainRequest {
    var method: String
    /// The path with its query.
    var target: String

    /// A request to a host that is not served.
    static func misdirected(_ method: String) -> PlainRequest {
        PlainRequest(method: method, target: misdirectedTarget)
    }

    /// No path, which would begin with a slash.
    static let misdirectedTarget = "misdirected"

    /// The path, with its query, and the host of a target that names one.
    static func relative(_ target: String) -> (path: String, host: String?) {
        for scheme in ["http://", "https://"] where target.lowercased().hasPrefix(scheme) {
            let rest = target.dropFirst(scheme.count)
            let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
            let path = rest[end...]
            return (path.first == "/" ? String(path) : "/\(path)", String(rest[..<end]))
        }
        return (target, nil)
    }

    var path: Substring { target.prefix { $0 != "?" } }

    /// Whether the reply must have no body (RFC 9110, 9.3.2).
    var isHead: Bool { method == "HEAD" }

    /// The values of a query parameter.
    func values(_ name: String) -> [String] {
        guard let mark = target.firstIndex(of: "?") else { return [] }
        return target[target.index(after: mark)...].split(separator: "&").compactMap { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts[0] == name else { return nil }
            return parts.count > 1 ? String(parts[1]) : ""
        }
    }
}

/// The answer of a plain path.
struct PlainReply: Sendable {
    var status: Int
    var contentType = "text/plain; charset=utf-8"
    var body: ByteBuffer

    init(_ status: Int, _ text: String, json: Bool = false) {
        self.status = status
        if json { contentType = "application/json" }
        body = ByteBuffer(string: text)
    }
}

/// `GET /health /livez /readyz /version /metrics`. Source: etcd `server/etcdserver/api/etcdhttp`.
enum PlainRoutes {
    static func answer(
        _ request: PlainRequest,
        _ context: LoopContext,
        _ listener: ServerConfiguration.Listener,
        _ completion: @escaping (PlainReply) -> Void
    ) {
        if request.target == PlainRequest.misdirectedTarget {
            return completion(AccessRules.misdirected)
        }
        if request.method == "OPTIONS" { return completion(PlainReply(200, "")) }
        let path = request.path
        let known =
            path == "/health" || path == "/metrics" || path == "/version" && !listener.servesMetricsOnly
            || isCheck(path)
        guard known else {
            let isOfGateway = path.hasPrefix("/v3/") || path.hasPrefix("/v3beta/")
            guard isOfGateway, !listener.servesMetricsOnly else {
                return completion(PlainReply(404, "404 page not found\n"))
            }
            // Source: grpc-gateway v2, `DefaultRoutingErrorHandler`.
            let status =
                Route.gateway(String(path)) != nil
                ? CallStatus(code: 12, message: "Method Not Allowed") : CallStatus(code: 5, message: "Not Found")
            return completion(
                PlainReply(status.httpStatus, String(buffer: GatewayJSON.error(status)), json: true)
            )
        }
        guard request.method == "GET" || request.isHead && path == "/metrics" else {
            return completion(PlainReply(405, "Method Not Allowed\n"))
        }
        switch path {
        case "/version":
            let information = context.information
            completion(
                PlainReply(
                    200,
                    "{\"etcdserver\":\"\(information.etcdVersion)\",\"etcdcluster\":\"\(information.clusterVersion)\",\"storage\":\"\(information.clusterVersion)\"}",
                    json: true
                )
            )
        case "/metrics":
            read(context, completion) { reader in
                defer { reader.endSnapshot() }
                let meta = try reader.beginSnapshot()
                let size = try reader.size()
                return PlainReply(200, MetricsText.render(context, (meta, size)))
            } failure: { error in
                // An outage is when they are looked at. Where there are too many reads already, nothing is known of one.
                let isOut = (error as? DroverError)?.code != .tooManyRequests
                return PlainReply(200, MetricsText.render(context, nil, isOut: isOut))
            }
        case "/health":
            let excluded = request.values("exclude")
            let store = context.store
            read(context, completion) { reader in
                defer { reader.endSnapshot() }
                let alarms = try store.system(try reader.beginSnapshot(), reader)?.state.alarms ?? []
                if let alarm = alarms.first(where: { !excluded.contains($0.name) }) {
                    return PlainReply(503, "{\"health\":\"false\",\"reason\":\"ALARM \(alarm.name)\"}", json: true)
                }
                return PlainReply(200, "{\"health\":\"true\",\"reason\":\"\"}", json: true)
            } failure: { _ in
                PlainReply(
                    503,
                    "{\"health\":\"false\",\"reason\":\"RANGE ERROR:the database cannot be read\"}",
                    json: true
                )
            }
        default:
            check(request, context, completion)
        }
    }

    private static let liveChecks = ["serializable_read"]
    private static let readyChecks = ["data_corruption", "serializable_read", "linearizable_read", "non_learner"]

    private static func isCheck(_ path: Substring) -> Bool {
        for (root, checks) in [("/livez", liveChecks), ("/readyz", readyChecks)] {
            if path == root || checks.contains(where: { path == "\(root)/\($0)" }) { return true }
        }
        return false
    }

    private static func check(
        _ request: PlainRequest,
        _ context: LoopContext,
        _ completion: @escaping (PlainReply) -> Void
    ) {
        let parts = request.path.split(separator: "/")
        let isAlive = parts[0] == "livez"
        var checks = isAlive ? liveChecks : readyChecks
        if parts.count > 1 { checks = [String(parts[1])] }
        let excluded = request.values("exclude")
        if parts.count == 1 { checks.removeAll { excluded.contains($0) } }
        let verbose = !request.values("verbose").isEmpty
        let shown = checks
        let store = context.store
        read(context, completion) { reader in
            defer { reader.endSnapshot() }
            let alarms = try store.system(try reader.beginSnapshot(), reader)?.state.alarms ?? []
            if shown.contains("data_corruption") && alarms.contains(where: { $0.kind == .corrupt }) {
                let lines = shown.map {
                    $0 == "data_corruption" ? "[-]\($0) failed: alarm CORRUPT is raised\n" : "[+]\($0) ok\n"
                }
                return PlainReply(503, lines.joined())
            }
            let lines = verbose ? shown.map { "[+]\($0) ok\n" }.joined() : ""
            return PlainReply(200, lines + "ok\n")
        } failure: { error in
            // To be started again would be to accept the loss: that is for a person to decide, not for a probe.
            if isAlive && isForked(error) { return PlainReply(200, "ok\n") }
            // Each check speaks for itself: who leaves the reads out is not told of the database.
            if !shown.contains(where: { $0.hasSuffix("_read") || $0 == "data_corruption" }) {
                return PlainReply(200, (verbose ? shown.map { "[+]\($0) ok\n" }.joined() : "") + "ok\n")
            }
            let readsShown = shown.contains { $0.hasSuffix("_read") }
            let lines = shown.map { name in
                name.hasSuffix("_read") || name == "data_corruption" && !readsShown
                    ? "[-]\(name) failed: \(cause(error))\n" : "[+]\(name) ok\n"
            }
            return PlainReply(503, lines.joined())
        }
    }

    private static func isForked(_ error: any Error) -> Bool {
        ((error as? DroverError)?.cause as? DriverFailure ?? error as? DriverFailure)?.kind == .forked
    }

    /// What keeps the database from being read; failures of drivers hold no keys, values or passwords.
    private static func cause(_ error: any Error) -> String {
        if let failure = (error as? DroverError)?.cause as? DriverFailure ?? error as? DriverFailure {
            return failure.message
        }
        return (error as? DroverError)?.message ?? "the database cannot be read"
    }

    private static func read(
        _ context: LoopContext,
        _ completion: @escaping (PlainReply) -> Void,
        _ body: @escaping @Sendable (any DriverReader) throws -> PlainReply,
        failure: @escaping @Sendable (any Error) -> PlainReply
    ) {
        let bound = NIOLoopBound(completion, eventLoop: context.loop)
        let refused = context.store.read { reader in
            let reply: PlainReply
            do {
                reply = try body(reader)
            } catch {
                reply = failure(error)
            }
            context.loop.execute { bound.value(reply) }
        }
        if let refused { completion(failure(refused)) }
    }
}
