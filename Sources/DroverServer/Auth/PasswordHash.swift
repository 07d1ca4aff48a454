import Crypto
import CryptoExtras
import Drover

/// A password's hash: scrypt (RFC 7914), which needs memory as well as time, so that guessing on many processors at once
/// is dear.
struct PasswordHash: Sendable {
    private static let form: UInt8 = 1
    private static let saltBytes = 16
    private static let keyBytes = 32
    private static let headBytes = 4

    /// How dear: 2 to this power times 8 times 128 bytes, 16 MiB by default.
    private let logRounds: UInt8
    private static let blockSize: UInt8 = 8
    private static let parallelism: UInt8 = 1

    private let memory: PasswordMemory?

    init(logRounds: UInt8 = 14, remembering memory: PasswordMemory? = nil) {
        self.logRounds = logRounds
        self.memory = memory
    }

    /// The hash of a new password.
    func make(_ password: String) throws -> Bytes {
        var random = SystemRandomNumberGenerator()
        let salt = (0..<Self.saltBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
        let head = [Self.form, logRounds, Self.blockSize, Self.parallelism]
        return head + salt + (try Self.derive(password, salt, head[...]))
    }

    /// Whether it is the password of the hash. A hash that is empty, or none of ours, matches nothing, and takes as long
    /// to say so.
    func matches(_ password: String, _ hash: Bytes) throws -> Bool {
        guard hash.count == Self.headBytes + Self.saltBytes + Self.keyBytes, hash[0] == Self.form, hash[1] <= 20 else {
            let head = [Self.form, logRounds, Self.blockSize, Self.parallelism]
            _ = try Self.derive(password, Bytes(repeating: 0, count: Self.saltBytes), head[...])
            return false
        }
        if memory?.contains(password, hash) == true { return true }
        let salt = Bytes(hash[Self.headBytes..<Self.headBytes + Self.saltBytes])
        let key = try Self.derive(password, salt, hash[..<Self.headBytes])
        // In constant time.
        var difference: UInt8 = 0
        for (a, b) in zip(key, hash[(Self.headBytes + Self.saltBytes)...]) { difference |= a ^ b }
        if difference == 0 { memory?.insert(password, hash) }
        return difference == 0
    }

    private static func derive(_ password: String, _ salt: Bytes, _ head: ArraySlice<UInt8>) throws -> Bytes {
        let key = try KDF.Scrypt.deriveKey(
            from: Array(password.utf8),
            salt: salt,
            outputByteCount: keyBytes,
            rounds: 1 << Int(head[1]),
            blockSize: Int(head[2]),
            parallelism: Int(head[3])
        )
        return key.withUnsafeBytes { Bytes($0) }
    }
}
