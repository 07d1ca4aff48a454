import Foundation
import TestSupport
import Testing

@testable import Drover

@Suite("whether a database server is there", .timeLimit(.minutes(1)))
struct AvailabilityTests {
    private let failure = DriverFailure(.unavailable, "away")

    @Test("what fails for one read alone is not tried for ever while others succeed")
    func alone() throws {
        let availability = Availability(patience: 0.3)
        let isOver = Flag()
        let others = WorkerThread(name: "other") {
            while !isOver.isSet {
                _ = try? availability.run { 1 }
                usleep(1_000)
            }
        }
        let begun = ContinuousClock.now
        #expect(throws: DriverFailure.self) { try availability.run { throw failure } }
        #expect(begun.duration(to: .now) > .milliseconds(290) && begun.duration(to: .now) < .seconds(5))
        isOver.set()
        others.join()
    }

    @Test("what met another session is tried again, and says nothing of the server")
    func conflicts() throws {
        let availability = Availability(patience: 0.2)
        var calls = 0
        let answer = try availability.run {
            calls += 1
            if calls < 4 { throw DriverFailure(.conflict, "in the way") }
            return 7
        }
        #expect(answer == 7 && calls == 4)
        #expect(throws: DriverFailure.self) { try availability.run { throw DriverFailure(.conflict, "in the way") } }
        // Others are not kept from asking.
        #expect(try availability.run { 8 } == 8)
    }

    @Test("a server that has stayed away is asked by one read at a time; it is there for all when one has found it")
    func asking() throws {
        let availability = Availability(patience: 0.1)
        #expect(throws: DriverFailure.self) { try availability.run { throw failure } }
        let isAsked = Flag()
        let mayAnswer = Flag()
        let first = WorkerThread(name: "other") {
            try? availability.run {
                isAsked.set()
                while !mayAnswer.isSet { usleep(1_000) }
            }
        }
        while !isAsked.isSet { usleep(1_000) }
        var calls = 0
        for _ in 0..<10 { #expect(throws: DriverFailure.self) { try availability.run { calls += 1 } } }
        #expect(calls == 0)
        mayAnswer.set()
        first.join()
        #expect(try availability.run { 2 } == 2)
    }
}
