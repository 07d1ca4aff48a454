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
    /// keys in a sorted reply (etcd's sort is not stable), negative start revisions of watches (row W4, since 3.6.6),
    /// and what 3.4 answers to a nested transaction's read at a revision (row X12, fixed in 3.7).
    @Suite("etcd as oracle")
    struct Oracle {
        enum Form: String, CaseIterable, Sendable {
            case wire, json

            /// The JSON form is the same implementation behind another codec: a quarter of the calls is enough.
            var calls: Int { self == .wire ? TestScale.oracleCalls : TestScale.oracleCalls / 4 }
        }

        @Test("equal replies", arguments: Form.allCases)
        func equalReplies(form: Form) async throws {
            let seed = SeededGenerator.seed()
            print("oracle over \(form), seed \(seed), \(form.calls) calls")
            try await withTemporaryDirectory { directory in
                let drover = try await TestServer.drover(directory: directory)
                let etcd = try await TestServer.etcd(directory: directory)
                var gateways: (GatewayConnection, GatewayConnection)?
                if form == .json {
                    gateways = (
                        try await GatewayConnection(port: drover.port), try await GatewayConnection(port: etcd.port)
                    )
                }
                let session = OracleSession(
                    ours: try await drover.connect(),
                    theirs: try await etcd.connect(),
                    gateways: gateways,
                    seed: seed
                )
                try await session.openWatches()
                for _ in 0..<form.calls { try await session.step() }
                try await session.compareWatches()
                let equal = session.compared - session.differences.count
                print("oracle over \(form): \(equal) of \(session.compared) replies equal")
                for difference in session.differences.prefix(10) { print(difference) }
                #expect(
                    Double(equal) >= 0.999 * Double(session.compared),
                    "seed \(seed): \(session.differences.count) replies differ"
                )
                await gateways?.0.close()
                await gateways?.1.close()
                drover.process.stop()
                etcd.process.stop()
            }
        }
    }
}
