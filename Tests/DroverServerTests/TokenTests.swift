import Crypto
import Drover
import Testing

@testable import DroverServer

@Suite("tokens in headers and their claims", .timeLimit(.minutes(1)))
struct TokenTests {
    @Test("the header `token` goes before `authorization`, and the first of each counts")
    func headers() {
        func token(_ fields: [HeaderField]) -> String? {
            var head = RequestHead()
            for field in fields { head.take(field) }
            return head.token
        }
        func authorization(_ value: String) -> HeaderField {
            .token(RequestHead.token(value, ofAuthorization: true))
        }
        #expect(token([.token("a"), authorization("b")]) == "a")
        #expect(token([authorization("b"), .token("a")]) == "a")
        #expect(token([authorization("b"), authorization("c")]) == "b")
        #expect(token([.token(""), authorization("b")]) == "")
        #expect(token([]) == nil)
    }

    private func claims(_ body: String, _ secret: [UInt8]) -> String {
        let signed =
            Base64URL.encode(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8)) + "." + Base64URL.encode(Array(body.utf8))
        let code = HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: SymmetricKey(data: secret))
        return signed + "." + Base64URL.encode(Array(code))
    }

    @Test("each time that is claimed counts, and none need be")
    func times() throws {
        let secret = Array("a secret of some length, as it should be".utf8)
        let authority = try JWTAuthority(.HS256, publicKey: secret, privateKey: nil, secondsToLive: 60)
        func isGood(_ times: String) -> Bool {
            authority.verify(claims(#"{"username":"u","revision":3"# + times + "}", secret), now: 1_000) != nil
        }
        #expect(isGood("") && isGood(#","exp":1001"#) && isGood(#","nbf":1000"#) && isGood(#","exp":2000,"nbf":1"#))
        #expect(!isGood(#","exp":1000"#) && !isGood(#","nbf":1001"#) && !isGood(#","exp":2000,"nbf":1001"#))
        #expect(!isGood(#","exp":"2000""#) && !isGood(#","nbf":null"#))
    }
}
