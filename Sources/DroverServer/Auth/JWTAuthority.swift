import Crypto
import CryptoExtras
import Drover
import SwiftProtobuf

/// Makes and knows tokens that carry their claims (RFC 7519), signed by keys from files: whoever has the key may make them.
///
/// Source: etcd `server/auth/jwt.go`: the claims are `username`, `revision` and `exp`.
public struct JWTAuthority: Sendable {
    /// The algorithm, by its registered name (RFC 7518, RFC 8037).
    public enum Method: String, Sendable, CaseIterable {
        case RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384, HS512
    }

    private let method: Method
    private let secondsToLive: Int64
    private let sign: (@Sendable ([UInt8]) throws -> [UInt8])?
    private let isValid: @Sendable (_ signature: [UInt8], _ message: [UInt8]) -> Bool

    /// - Parameters:
    ///   - publicKey: in PEM; the secret itself of an HS method. May be left out where the private key is there.
    ///   - privateKey: in PEM; without it tokens are known and none are made.
    /// - Throws: ``DroverError`` when a key cannot be used.
    public init(_ method: Method, publicKey: [UInt8]?, privateKey: [UInt8]?, secondsToLive: Int64) throws {
        self.method = method
        self.secondsToLive = secondsToLive
        // Keys in PEM are text; a secret is bytes of any kind.
        let secret = privateKey ?? publicKey
        let publicKey = publicKey.map { String(decoding: $0, as: UTF8.self) }
        let privateKey = privateKey.map { String(decoding: $0, as: UTF8.self) }
        do {
            let keys: Keys
            switch method {
            case .RS256, .PS256: keys = try Self.rsa(method, publicKey, privateKey, SHA256.self)
            case .RS384, .PS384: keys = try Self.rsa(method, publicKey, privateKey, SHA384.self)
            case .RS512, .PS512: keys = try Self.rsa(method, publicKey, privateKey, SHA512.self)
            case .ES256: keys = try Self.p256(publicKey, privateKey)
            case .ES384: keys = try Self.p384(publicKey, privateKey)
            case .ES512: keys = try Self.p521(publicKey, privateKey)
            case .EdDSA: keys = try Self.ed25519(publicKey, privateKey)
            case .HS256: keys = try Self.hmac(secret, SHA256.self)
            case .HS384: keys = try Self.hmac(secret, SHA384.self)
            case .HS512: keys = try Self.hmac(secret, SHA512.self)
            }
            (sign, isValid) = keys
        } catch let error as DroverError {
            throw error
        } catch {
            throw DroverError(
                .badEndpoint,
                message:
                    "drover: a key of --auth-token cannot be used; it must be one of \(method.rawValue) in PEM form",
                cause: error
            )
        }
    }

    private typealias Sign = @Sendable ([UInt8]) throws -> [UInt8]
    private typealias IsValid = @Sendable ([UInt8], [UInt8]) -> Bool
    private typealias Keys = (sign: Sign?, isValid: IsValid)

    /// A private key, a public one, or both.
    private static func pair<Own: Sendable, Known: Sendable>(
        _ publicKey: String?,
        _ privateKey: String?,
        _ readOwn: (String) throws -> Own,
        _ readKnown: (String) throws -> Known,
        _ known: (Own) -> Known,
        sign: @escaping @Sendable (Own, [UInt8]) throws -> [UInt8],
        isValid: @escaping @Sendable (Known, _ signature: [UInt8], _ message: [UInt8]) -> Bool
    ) throws -> Keys {
        let own = try privateKey.map(readOwn)
        guard let known = try publicKey.map(readKnown) ?? own.map(known) else { throw noKey }
        let check: IsValid = { signature, message in isValid(known, signature, message) }
        guard let own else { return (nil, check) }
        let probe = Array("drover".utf8)
        guard check(try sign(own, probe), probe) else {
            throw DroverError(.badEndpoint, message: "drover: the keys of --auth-token do not belong together")
        }
        return ({ message in try sign(own, message) }, check)
    }

    private static func rsa<Hash: HashFunction>(
        _ method: Method,
        _ publicKey: String?,
        _ privateKey: String?,
        _ hash: Hash.Type
    ) throws -> Keys {
        let padding: _RSA.Signing.Padding = method.rawValue.hasPrefix("PS") ? .PSS : .insecurePKCS1v1_5
        return try pair(
            publicKey,
            privateKey,
            { try _RSA.Signing.PrivateKey(pemRepresentation: $0) },
            { try _RSA.Signing.PublicKey(pemRepresentation: $0) },
            \.publicKey,
            sign: { Array(try $0.signature(for: Hash.hash(data: $1), padding: padding).rawRepresentation) },
            isValid: {
                let signature = _RSA.Signing.RSASignature(rawRepresentation: $1)
                return $0.isValidSignature(signature, for: Hash.hash(data: $2), padding: padding)
            }
        )
    }

    private static func p256(_ publicKey: String?, _ privateKey: String?) throws -> Keys {
        try pair(
            publicKey,
            privateKey,
            { try P256.Signing.PrivateKey(pemRepresentation: $0) },
            { try P256.Signing.PublicKey(pemRepresentation: $0) },
            \.publicKey,
            sign: { Array(try $0.signature(for: SHA256.hash(data: $1)).rawRepresentation) },
            isValid: {
                guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: $1) else { return false }
                return $0.isValidSignature(signature, for: SHA256.hash(data: $2))
            }
        )
    }

    private static func p384(_ publicKey: String?, _ privateKey: String?) throws -> Keys {
        try pair(
            publicKey,
            privateKey,
            { try P384.Signing.PrivateKey(pemRepresentation: $0) },
            { try P384.Signing.PublicKey(pemRepresentation: $0) },
            \.publicKey,
            sign: { Array(try $0.signature(for: SHA384.hash(data: $1)).rawRepresentation) },
            isValid: {
                guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: $1) else { return false }
                return $0.isValidSignature(signature, for: SHA384.hash(data: $2))
            }
        )
    }

    private static func p521(_ publicKey: String?, _ privateKey: String?) throws -> Keys {
        try pair(
            publicKey,
            privateKey,
            { try P521.Signing.PrivateKey(pemRepresentation: $0) },
            { try P521.Signing.PublicKey(pemRepresentation: $0) },
            \.publicKey,
            sign: { Array(try $0.signature(for: SHA512.hash(data: $1)).rawRepresentation) },
            isValid: {
                guard let signature = try? P521.Signing.ECDSASignature(rawRepresentation: $1) else { return false }
                return $0.isValidSignature(signature, for: SHA512.hash(data: $2))
            }
        )
    }

    private static func ed25519(_ publicKey: String?, _ privateKey: String?) throws -> Keys {
        try pair(
            publicKey,
            privateKey,
            { try Curve25519.Signing.PrivateKey(pemRepresentation: $0) },
            { try Curve25519.Signing.PublicKey(pemRepresentation: $0) },
            \.publicKey,
            sign: { Array(try $0.signature(for: $1)) },
            isValid: { $0.isValidSignature($1, for: $2) }
        )
    }

    private static func hmac<Hash: HashFunction>(_ secret: [UInt8]?, _ hash: Hash.Type) throws -> Keys {
        guard let secret, !secret.isEmpty else { throw noKey }
        let key = SymmetricKey(data: secret)
        let sign: Sign = { message in Array(HMAC<Hash>.authenticationCode(for: message, using: key)) }
        let isValid: IsValid = { signature, message in
            HMAC<Hash>.isValidAuthenticationCode(signature, authenticating: message, using: key)
        }
        return (sign, isValid)
    }

    private static var noKey: DroverError {
        DroverError(.badEndpoint, message: "drover: --auth-token jwt needs pub-key or priv-key")
    }

    // MARK: - Tokens

    /// A token for a user, good until auth changes or its time is over.
    ///
    /// - Throws: ``DroverError`` when there is no private key.
    func issue(_ name: String, revision: Int64, now: Int64) throws -> String {
        guard let sign else { throw DroverError(.verifyOnlyKey) }
        var claims = Google_Protobuf_Struct()
        claims.fields["username"] = Google_Protobuf_Value(stringValue: name)
        let text = try claims.jsonString().dropLast()
        let body = "\(text),\"revision\":\(revision),\"exp\":\(now + secondsToLive)}"
        let head = "{\"alg\":\"\(method.rawValue)\",\"typ\":\"JWT\"}"
        let signed = Base64URL.encode(Array(head.utf8)) + "." + Base64URL.encode(Array(body.utf8))
        return signed + "." + Base64URL.encode(try sign(Array(signed.utf8)))
    }

    /// Whose token it is, and when it is over; nil when it is not signed by the key, or not by the method, or over.
    func verify(_ token: String, now: Int64) -> (identity: Caller.Identity, expires: Int64)? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, token.utf8.count <= 16_384, let head = Base64URL.decode(parts[0]),
            let body = Base64URL.decode(parts[1]), let signature = Base64URL.decode(parts[2]),
            isValid(signature, Array("\(parts[0]).\(parts[1])".utf8))
        else { return nil }
        // The method is ours to say, not the token's.
        guard let header = try? Google_Protobuf_Struct(jsonUTF8Bytes: head),
            header.fields["alg"]?.stringValue == method.rawValue,
            let claims = try? Google_Protobuf_Struct(jsonUTF8Bytes: body),
            let name = claims.fields["username"]?.stringValue, !name.isEmpty,
            let revision = claims.fields["revision"]?.numberValue, revision >= 0, revision < 9e15
        else { return nil }
        // Of the times that RFC 7519 (4.1) knows none need be there, and each that is there counts.
        let times = ["exp", "nbf"].map { claims.fields[$0] }
        let areNumbers = times.allSatisfy {
            guard let kind = $0?.kind else { return true }
            if case .numberValue(let value) = kind { return value.isFinite }
            return false
        }
        let end = min(times[0]?.numberValue ?? 1e15, 1e15)
        guard areNumbers, end > Double(now), times[1]?.numberValue ?? 0 <= Double(now) else { return nil }
        return (.init(name: name, proof: .claims(revision: Int64(revision))), Int64(end))
    }
}
