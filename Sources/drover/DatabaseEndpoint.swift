/// The database that a command works with.
enum DatabaseEndpoint {
    /// What the command line says, else the environment, else a SQLite file. Read here and not as the option's default,
    /// which the help would show, password and all.
    static func named(_ option: String?) -> String { option ?? Environment.value("ENDPOINT") ?? "sqlite" }
}
