import Crypto
import Drover
import EtcdAPI
import NIOCore

/// `etcdserverpb.Maintenance/Snapshot`: a stream of pieces, and at its end their checksum.
///
/// Source: etcd `api/v3rpc/maintenance.go`. The form is our own, since etcd's is a file of its storage engine: `drover
/// snapshot restore` reads it on any backend.
enum SnapshotService {
    /// As etcd cuts it.
    private static let blobBytes = 32 << 10

    static func call(_ stream: ServerStream) -> TaskSession {
        let (store, header) = (stream.context.store, stream.context.header)
        let version = stream.context.information.clusterVersion
        return TaskSession(stream) { _, send in
            try await store.authorize(administers: true)
            // How much is left is not known while writing goes on: what the database uses now is near it.
            var left = UInt64(max(1, try await store.size().inUse))
            var digest = SHA256()
            let revision = try await store.revision()
            func part(_ blob: ArraySlice<UInt8>, _ remaining: UInt64) -> PBSnapshotResponse {
                var response = PBSnapshotResponse()
                response.header = header.message(revision)
                response.remainingBytes = remaining
                response.blob = .init(blob)
                response.version = version
                return response
            }
            try await store.snapshot { piece in
                digest.update(data: piece)
                for start in stride(from: 0, to: piece.count, by: blobBytes) {
                    let blob = piece[start..<min(piece.count, start + blobBytes)]
                    left = max(32, left - min(left, UInt64(blob.count)))
                    try await send(part(blob, left))
                }
            }
            try await send(part(Array(digest.finalize())[...], 0))
            return nil
        }
    }
}
