import Drover

extension ContenderQueue {
    /// A call of Lock or Election. etcd's own reach it through a client, whose errors have lost their codes.
    static func call(_ stream: ServerStream, _ body: @escaping TaskSession.Body) -> TaskSession {
        TaskSession(stream) { message, send in
            do {
                return try await body(message, send)
            } catch let error as DroverError where error.code.status != .unavailable {
                throw DroverError(.init(.unknown, error.message))
            }
        }
    }
}
