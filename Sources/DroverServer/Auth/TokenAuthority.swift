import Crypto
import Drover

/// Makes and knows the tokens of auth.
///
/// etcd's simple tokens live in the memory of its members; ours are signed with a secret that the database holds, so that
/// every instance knows them and a restart forgets none.
public struct TokenAuthority: Sendable {
    /// Seconds for which an unused token is good. Default 300. etcd: `--auth-token-ttl`.
    public var secondsToLive: Int64 = 300

    /// Tokens that carry their claims, in place of our own; nil is none. etcd: `--auth-token jwt,…`.
    public var jwt: JWTAuthority?

    /// The defaults.
    public init() {}

    private static let macBytes = 32
    private static let hexadecimal = Array("0123456789abcdef".utf8)

    /// A token for a user, issued now.
    func issue(_ name: String, _ auth: AuthState, now: Int64) -> String {
        var payload: [UInt8] = []
        append(auth.revision, to: &payload)
        append(now, to: &payload)
        // Two of the same second are two tokens: one may be used and the other not.
        append(Int64.random(in: .min ... .max), to: &payload)
        payload += name.utf8
        let mac = HMAC<SHA256>.authenticationCode(for: payload, using: SymmetricKey(data: auth.secret))
        let bytes = Array(mac) + payload
        var text: [UInt8] = []
        for byte in bytes {
            text.append(Self.hexadecimal[Int(byte >> 4)])
            text.append(Self.hexadecimal[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Whose token it is, and the second it was issued; nil when it is none of ours.
    func verify(_ token: String, _ auth: AuthState) -> (identity: Caller.Identity, issued: Int64)? {
        guard !auth.secret.isEmpty, let bytes = Self.bytes(token), bytes.count > Self.macBytes + 24 else { return nil }
        let payload = Array(bytes[Self.macBytes...])
        // Compares in constant time.
        let isOurs = HMAC<SHA256>.isValidAuthenticationCode(
            bytes[..<Self.macBytes],
            authenticating: payload,
            using: SymmetricKey(data: auth.secret)
        )
        guard isOurs else { return nil }
        let revision = Self.number(payload[0..<8])
        let issued = Self.number(payload[8..<16])
        let name = String(decoding: payload[24...], as: UTF8.self)
        return (Caller.Identity(name: name, proof: .token(issuedAt: revision)), issued)
    }

    private func append(_ number: Int64, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int64 { bytes.reduce(0) { $0 << 8 | Int64($1) } }

    private static func bytes(_ token: String) -> [UInt8]? {
        func digit(_ byte: UInt8) -> UInt8? {
            switch byte {
            case 0x30...0x39: byte - 0x30
            case 0x61...0x66: byte - 0x61 + 10
            default: nil
            }
        }
        let text = Array(token.utf8)
        guard text.count % 2 == 0, text.count <= 8_192 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2)
        for i in stride(from: 0, to: text.count, by: 2) {
            guard let high = digit(text[i]), let low = digit(text[i + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}
