import Drover
import DroverServer
import EtcdAPI
import NIOCore
import SwiftProtobuf

/// The gateway's form.
enum JSONKernels {
    static var all: [Kernel] {
        [
            Kernel("json.decode-update") {
                let text: [UInt8] = try Messages.updateMessage.jsonUTF8Bytes()
                let document = ByteBuffer(bytes: text)
                return KernelRun { _ = try GatewayJSON.request(.txn, document) }
            },
            Kernel("json.encode-list", operations: 20) {
                let response = RangeResponse(
                    revision: 50_000,
                    kvs: (0..<20).map(Fixtures.keyValue),
                    more: true,
                    count: 1_000
                )
                var buffer = MessageBuffer.make(ByteBufferAllocator(), capacity: 32 * 1_024)
                ResponseEncoder.append(response, ResponseHeader(clusterID: 1 << 60, memberID: 1 << 61), to: &buffer)
                MessageBuffer.seal(&buffer)
                let message = buffer
                return KernelRun { _ = try GatewayJSON.reply(.range, message) }
            },
        ]
    }
}
