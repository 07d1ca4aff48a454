import Testing

@testable import DroverServer

@Suite("what a request's headers say", .timeLimit(.minutes(1)))
struct RequestHeadTests {
    @Test("a token by itself goes before HTTP's header, in either order, and the first counts")
    func tokens() {
        let plain = HeaderField.token("good")
        let authorization = HeaderField.authorization("Basic x")
        for fields in [[plain, authorization], [authorization, plain], [plain, .token("late")]] {
            var head = RequestHead()
            for field in fields { head.take(field) }
            #expect(head.token == "good")
        }
        var head = RequestHead()
        head.take(authorization)
        head.take(.authorization("late"))
        #expect(head.token == "Basic x" && head.authorization == "Basic x")
    }
}
