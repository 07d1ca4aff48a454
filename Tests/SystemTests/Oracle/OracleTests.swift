import DroverClient
import EtcdAPI
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

extension SystemTests {
    /// Random calls go to a real etcd and to drover; every reply must be equal but for ids.
    ///
    /// What is left out, each a difference between etcd's own versions that a row of the semantics decides: members and
    /// cluster ids, raft terms, the ids of leases that the server chooses (none is asked for here), the order of equal
    /// keys in a sorted reply (etcd's sort is not stable), negative start revisions of watches (refused since 3.6.6),
    /// and what 3.4 answers to a nested transaction's read at a revision (fixed in 3.7).
    @Suite("etcd as oracle")
    struct Oracle {
        enum Form: String, Sendable {
            case wire, json
            /// Several users, whose permissions change meanwhile.
            case auth
        }

        struct Campaign: Sendable, CustomStringConvertible {
            var engine: Engine
            var form: Form
            var calls: Int
            var description: String { "\(form) on \(engine)" }

            /// Every engine, mostly over the wire; the JSON form is the same implementation behind another codec. With
            /// users every call asks for permission, and passwords are slow: fewer of them. The shares make one whole.
            static let all: [Campaign] =
                selected.filter { environment("DROVER_TEST_ORACLE_FORM") ?? $0.form.rawValue == $0.form.rawValue }

            private static let selected: [Campaign] =
                Engine.selected.map { share($0 == .sqlite ? 0.44 : 0.18, of: .wire, on: $0) }
                + Engine.selected.map { share($0 == .sqlite ? 0.05 : 0.03, of: .json, on: $0) }
                + Engine.selected.map { share($0 == .sqlite ? 0.05 : 0.02, of: .auth, on: $0) }

            private static func share(_ part: Double, of form: Form, on engine: Engine) -> Campaign {
                Campaign(engine: engine, form: form, calls: Int(Double(TestScale.oracleCalls) * part))
            }
        }

        @Test("equal replies")
        func equalReplies() async throws {
            // Each waits for its servers half of the time: two at once take little longer than one.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (place, campaign) in Campaign.all.enumerated() {
                    if place >= 2 { try await group.next() }
                    group.addTask { try await Self.play(campaign) }
                }
                try await group.waitForAll()
            }
        }

        private static func play(_ campaign: Campaign) async throws {
            let form = campaign.form
            let seed = SeededGenerator.seed()
            print("oracle: \(campaign.description), seed \(seed), \(campaign.calls) calls")
            try await withTemporaryDirectory { directory in
                let drover = try await TestServer.drover(directory: directory, engine: campaign.engine)
                let etcd = try await TestServer.etcd(directory: directory)
                var gateways: (GatewayConnection, GatewayConnection)?
                if form == .json {
                    gateways = (
                        try await GatewayConnection(port: drover.port), try await GatewayConnection(port: etcd.port)
                    )
                }
                let theirs = try await etcd.connect()
                let session = OracleSession(
                    ours: try await drover.connect(),
                    theirs: theirs,
                    gateways: gateways,
                    isOld: try await AuthScenario.isOld(theirs),
                    seed: seed
                )
                if form == .auth {
                    try await session.enableAuth()
                    for _ in 0..<campaign.calls { try await session.authStep() }
                } else {
                    try await session.openWatches()
                    for _ in 0..<campaign.calls { try await session.step() }
                    try await session.compareWatches()
                }
                let counts = session.calls.sorted { $0.key < $1.key }.map {
                    "\($0.key.split(separator: "/").last!) \($0.value)"
                }
                let equal = session.compared - session.differences.count
                let name = campaign.description
                let kinds = counts.joined(separator: ", ")
                var report = "oracle: \(name): \(session.calls.count) different calls: \(kinds)\n"
                report += "oracle: \(name): \(equal) of \(session.compared) replies equal"
                for difference in session.differences.prefix(40) { report += "\n\(difference)" }
                print(report)
                #expect(
                    Double(equal) >= 0.999 * Double(session.compared),
                    "\(name), seed \(seed): \(session.differences.count) replies differ"
                )
                await gateways?.0.close()
                await gateways?.1.close()
                drover.process.stop()
                etcd.process.stop()
            }
        }
    }
}
