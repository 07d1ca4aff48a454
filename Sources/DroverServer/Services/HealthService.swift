import Drover
import EtcdAPI
import NIOCore

/// `grpc.health.v1.Health`: etcd registers the service name "" and its own services are known by it.
enum HealthService {
    static func check(_ stream: ServerStream, _ message: ByteBuffer) throws {
        stream.reply(try serving(stream, message))
    }

    static func watch(_ stream: ServerStream, _ message: ByteBuffer) throws {
        // The state never changes while the process lives; the stream stays open.
        stream.send(try serving(stream, message))
    }

    private static func serving(_ stream: ServerStream, _ message: ByteBuffer) throws -> ByteBuffer {
        let request = try PBHealthCheckRequest(wire: message)
        guard request.service.isEmpty else {
            throw DroverError(.init(.notFound, "unknown service"))
        }
        var response = PBHealthCheckResponse()
        response.status = .serving
        return try MessageBuffer.make(stream.allocator, response)
    }
}
