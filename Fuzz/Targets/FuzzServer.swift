import Drover
import DroverServer
import DroverSQLite
import Foundation
import Logging
import Synchronization

/// A server that whole connections are fed to: the protocol detector, frames, HTTP/1.1, and the calls behind them.
package enum FuzzServer {
    private static let port: UInt16 = {
        var logger = Logger(label: "fuzz")
        logger.logLevel = .critical
        var configuration = StoreConfiguration()
        configuration.logger = logger
        let path = NSTemporaryDirectory() + "/drover-fuzz-\(getpid()).db"
        let database = configuration
        var server = ServerConfiguration()
        server.address = .tcp(host: "127.0.0.1", port: 0)
        server.logger = logger
        let settings = server
        let started = Mutex<UInt16>(0)
        let done = DispatchSemaphore(value: 0)
        Task.detached {
            let store = try! await Store.open(sqlite: SQLiteConfiguration(path: path), configuration: database)
            let server = try! await Server.start(store, configuration: settings)
            if case .tcp(_, let port) = server.address { started.withLock { $0 = UInt16(port) } }
            done.signal()
            // Lives as long as the process.
            while true { try? await Task.sleep(nanoseconds: 3_600_000_000_000); _ = server }
        }
        done.wait()
        for ending in ["", "-wal", "-shm", ".lock"] { unlink(path + ending) }
        return started.withLock { $0 }
    }()

    /// Sends the bytes over a connection of their own, after what the first of them chooses, and waits for its end.
    package static func feed(_ bytes: UnsafeRawBufferPointer) {
        guard let choice = bytes.first else { return }
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard connection >= 0 else { return }
        defer { close(connection) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // Many short connections may use up the ports, and the fuzzer's own alarm may interrupt; that nobody listens any
        // more is the server's end.
        if status != 0 && errno != ECONNREFUSED { return }
        precondition(status == 0, "the server has gone")
        var timeout = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var text: [UInt8] = []
        switch choice % 3 {
        case 0: text = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
        case 1: text = Array("POST /v3/kv/range HTTP/1.1\r\n".utf8)
        default: break
        }
        text += bytes.dropFirst()
        _ = text.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        shutdown(connection, Int32(SHUT_WR))
        var reply = [UInt8](repeating: 0, count: 65_536)
        while recv(connection, &reply, reply.count, 0) > 0 {}
    }
}
