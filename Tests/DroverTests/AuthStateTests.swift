import TestSupport
import Testing

@testable import Drover

@Suite("users and roles", .timeLimit(.minutes(1)))
struct AuthStateTests {
    private static let composed = "caf\u{e9}"
    private static let decomposed = "cafe\u{301}"

    @Test("names are compared byte by byte")
    func names() throws {
        var state = AuthState()
        for name in [Self.composed, Self.decomposed, "Kate", "\u{212A}ate"] {
            try state.apply(.addUser(name: name, hash: [1]))
            try state.apply(.addRole(name: name))
        }
        #expect {
            try state.apply(.addUser(name: "Kate", hash: [1]))
        } throws: {
            ($0 as? DroverError)?.code == .userExists
        }
        #expect(state.users.count == 4 && state.roles.count == 4)
        try state.apply(.grantRole(user: "Kate", role: Self.composed))
        try state.apply(.grantRole(user: "Kate", role: Self.decomposed))
        #expect(state.user("Kate")?.roles.count == 2 && state.user("\u{212A}ate")?.roles.isEmpty == true)
        try state.apply(.deleteUser(name: "\u{212A}ate"))
        try state.apply(.deleteRole(name: Self.decomposed))
        #expect(state.user("Kate")?.roles.map { Array($0.utf8) } == [Array(Self.composed.utf8)])
        let one = Caller.Identity(name: "Kate", proof: .certificate)
        let other = Caller.Identity(name: "\u{212A}ate", proof: .certificate)
        #expect(one != other && one == Caller.Identity(name: "Kate", proof: .certificate))
    }

    @Test("a user that is to have no password gets none, and is known as such when the state is read again")
    func withoutPassword() throws {
        var state = SystemState()
        try state.auth.apply(.addUser(name: "open", hash: [7]))
        let before = state.encoded()
        try state.auth.apply(.addUser(name: "bare", hash: nil))
        try state.auth.apply(.changePassword(name: "bare", hash: [9]))
        try state.auth.apply(.changePassword(name: "open", hash: [8]))
        for read in [state, try SystemState(decoding: state.encoded())] {
            #expect(read.auth.user("bare")?.passwordHash == [] && read.auth.user("bare")?.isWithoutPassword == true)
            #expect(read.auth.user("open")?.passwordHash == [8] && read.auth.user("open")?.isWithoutPassword == false)
        }
        // An older Drover reads what it can.
        #expect(before[7] == 1 && state.encoded()[7] == 2)
    }

    @Test("permissions of many ranges are those of each of them")
    func permissions() throws {
        var random = SeededGenerator(seed: 4)
        func key() -> Bytes {
            (0..<Int.random(in: 1...2, using: &random)).map { _ in UInt8.random(in: 1...9, using: &random) }
        }
        for _ in 0..<200 {
            var state = AuthState()
            try state.apply(.addUser(name: "u", hash: []))
            try state.apply(.addRole(name: "r"))
            try state.apply(.grantRole(user: "u", role: "r"))
            var ranges: [KeyRange] = []
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                let permission = AuthPermission(
                    kind: .readWrite,
                    key: key(),
                    rangeEnd: Bool.random(using: &random) ? [] : key()
                )
                guard permission.isValid else { continue }
                try state.apply(.grantPermission(role: "r", permission))
                ranges.append(permission.range)
            }
            let user = try #require(PermissionTable(state).permissions(of: "u"))
            for first in 0...9 as ClosedRange<UInt8> {
                for second in [nil] + Array(0...9) as [UInt8?] {
                    let key = [first] + (second.map { [$0] } ?? [])
                    let isGranted = ranges.contains { $0.contains(key) }
                    #expect(user.mayRead(KeyRange(lower: key, upper: .single)) == isGranted, "\(key) in \(ranges)")
                }
            }
        }
    }
}
