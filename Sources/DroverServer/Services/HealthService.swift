import Drover
import EtcdAPI
import NIOCore

/// `grpc.health.v1.Health`: etcd registers the service name "" and its own services are known by it.
enum HealthService {
    static func check(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBHealthCheckRequest(wire: message)
        guard request.service.isEmpty else { throw DroverError(.init(.notFound, "unknown service")) }
        stream.reply(try answer(stream, .serving))
    }

    static func watch(_ stream: ServerStream, _ message: ByteBuffer) throws {
        // The state never changes while the process lives; the stream stays open, of an unknown service too. Source:
        // `health.proto`, Watch.
        let request = try PBHealthCheckRequest(wire: message)
        stream.send(try answer(stream, request.service.isEmpty ? .serving : .serviceUnknown))
    }

    private static func answer(
        _ stream: ServerStream,
        _ status: PBHealthCheckResponse.ServingStatus
    ) throws -> ByteBuffer {
        var response = PBHealthCheckResponse()
        response.status = status
        return try MessageBuffer.make(stream.allocator, response)
    }
}
