import Crypto
import Drover
import Synchronization

/// Passwords that were found right a moment ago, so that clients that come back all at once need not be hashed again. It
/// holds no password: a keyed digest of each with the hash it belongs to, whose key is this process's own.
final class PasswordMemory: Sendable {
    /// Passwords that are remembered; above it all are forgotten.
    private static let most = 4_096

    private let key = SymmetricKey(size: .bits256)
    private let known = Mutex<Set<Bytes>>([])

    func contains(_ password: String, _ hash: Bytes) -> Bool {
        let digest = digest(password, hash)
        return known.withLock { $0.contains(digest) }
    }

    func insert(_ password: String, _ hash: Bytes) {
        let digest = digest(password, hash)
        known.withLock { known in
            if known.count >= Self.most { known = [] }
            known.insert(digest)
        }
    }

    private func digest(_ password: String, _ hash: Bytes) -> Bytes {
        // A hash has a length of its own: no two pairs are one text.
        Bytes(HMAC<SHA256>.authenticationCode(for: hash + Bytes(password.utf8), using: key))
    }
}
