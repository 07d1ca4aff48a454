import EtcdAPI

/// A status as an error, for what etcd says in words of its own.
struct CallStatusError: Error {
    let status: CallStatus

    init(code: Int, message: String) {
        status = CallStatus(code: code, message: message)
    }
}
