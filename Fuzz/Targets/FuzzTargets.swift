import Drover
import DroverServer
import EtcdAPI
import NIOCore

/// Every decoder that takes bytes from clients, for the fuzzer and for the tests that replay what it found.
package enum FuzzTargets {
    /// Feeds an input to the decoder that its first byte chooses. It may throw, and must not crash, hang or disagree
    /// with itself.
    package static func run(_ input: UnsafeRawBufferPointer) {
        guard let choice = input.first else { return }
        let bytes = UnsafeRawBufferPointer(rebasing: input.dropFirst())
        switch choice % 10 {
        case 0: _ = try? RequestDecoder.range(bytes)
        case 1: _ = try? RequestDecoder.put(bytes)
        case 2: txn(bytes)
        case 3: _ = try? RequestDecoder.deleteRange(bytes)
        case 4: _ = try? RequestDecoder.watch(bytes)
        case 5: headers(bytes)
        case 6: json(bytes)
        case 7: cold(bytes)
        case 8: FuzzServer.feed(bytes)
        default: _ = try? RequestDecoder.leaseKeepAlive(bytes)
        }
    }

    private static func txn(_ bytes: UnsafeRawBufferPointer) {
        guard let request = try? RequestDecoder.txn(bytes) else { return }
        let validator = RequestValidator(maximumTxnOperations: 128, maximumKeyBytes: 1_024)
        try? validator.check(request)
    }

    /// Blocks one after the other, each led by its length, as a connection would decode them.
    private static func headers(_ bytes: UnsafeRawBufferPointer) {
        var decoder = HPACKDecoder()
        var rest = bytes
        while let length = rest.first {
            let block = UnsafeRawBufferPointer(rebasing: rest.dropFirst().prefix(Int(length)))
            var head = RequestHead()
            do {
                try decoder.decode(block, into: &head)
            } catch {
                return
            }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(Int(length) + 1))
        }
    }

    private static func json(_ bytes: UnsafeRawBufferPointer) {
        guard let choice = bytes.first else { return }
        let routes = Route.allCases
        var buffer = ByteBuffer(bytes: bytes.dropFirst())
        while let length = JSONSplitter.firstDocument(buffer.readableBytesView) {
            precondition(length > 0 && length <= buffer.readableBytes)
            let document = buffer.readSlice(length: length)!
            _ = try? GatewayJSON.request(routes[Int(choice) % routes.count], document)
        }
    }

    /// Messages that are decoded by generated code.
    private static func cold(_ bytes: UnsafeRawBufferPointer) {
        guard let choice = bytes.first else { return }
        let message = ByteBuffer(bytes: bytes.dropFirst())
        switch choice % 13 {
        case 0: _ = try? PBCompactionRequest(wire: message)
        case 1: _ = try? PBLeaseGrantRequest(wire: message)
        case 2: _ = try? PBLeaseRevokeRequest(wire: message)
        case 3: _ = try? PBLeaseTimeToLiveRequest(wire: message)
        case 4: _ = try? PBAlarmRequest(wire: message)
        case 5: _ = try? PBHealthCheckRequest(wire: message)
        case 6: _ = try? PBAuthUserAddRequest(wire: message)
        case 7: _ = try? PBAuthRoleGrantPermissionRequest(wire: message)
        case 8: _ = try? PBAuthRoleRevokePermissionRequest(wire: message)
        case 9: _ = try? PBAuthenticateRequest(wire: message)
        case 10: _ = try? PBHashKVRequest(wire: message)
        case 11: _ = try? PBLockRequest(wire: message)
        default: _ = try? PBMemberListRequest(wire: message)
        }
    }
}
