/// The engines that the suites run on. A new one is added here, and its server beside ``SharedServers``.
public enum Engine: String, CaseIterable, Sendable {
    case sqlite
    case postgres
    case mariadb

    /// Those that are tested: all, unless the environment names some.
    public static let selected: [Engine] = {
        guard let names = environment("DROVER_TEST_BACKENDS") else { return allCases }
        return names.split(separator: ",").compactMap { Engine(rawValue: String($0)) }
    }()

    /// Those that several instances may share.
    public static var shared: [Engine] { selected.filter { $0 != .sqlite } }

    /// Runs a test on each of those that several instances may share, all at once: for one that waits most of its time, and
    /// whose own calls do not block for long.
    public static func allShared(_ body: @escaping @Sendable (Engine) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for engine in shared { group.addTask { try await body(engine) } }
            try await group.waitForAll()
        }
    }

    /// The server it needs; nil of an embedded one.
    public func server() throws -> (any DatabaseServer)? {
        switch self {
        case .sqlite: nil
        case .postgres: try SharedServers.postgres()
        case .mariadb: try SharedServers.mariadb()
        }
    }

    /// The endpoint of the store that belongs to `directory`: a file in it, or a database named after it.
    public func endpoint(_ directory: String) throws -> String {
        guard let server = try server() else { return "sqlite://\(directory)/drover.db" }
        return server.endpoint(database: Self.database(directory))
    }

    /// The name of the database that belongs to `directory`.
    public static func database(_ directory: String) -> String { "t" + directory.suffix(12).lowercased() }
}
