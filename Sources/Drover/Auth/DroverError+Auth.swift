extension DroverError {
    /// How etcd says in a watch's answer why it was refused, or ended.
    package var watchReason: String {
        if code == .stopped { return message }
        let name =
            switch code.status {
            case .permissionDenied: "PermissionDenied"
            case .unauthenticated: "Unauthenticated"
            case .invalidArgument: "InvalidArgument"
            default: "Unknown"
            }
        return "rpc error: code = \(name) desc = \(message)"
    }
}

/// Source of the texts: etcd `api/v3rpc/rpctypes/error.go`.
extension DroverError.Code {
    public static let userEmpty = Self(.invalidArgument, "etcdserver: user name is empty")
    public static let userNameEmpty = userEmpty
    public static let roleNameEmpty = Self(.invalidArgument, "etcdserver: role name is empty")
    public static let authenticationFailed = Self(
        .invalidArgument,
        "etcdserver: authentication failed, invalid user ID or password"
    )
    public static let permissionNotGiven = Self(.invalidArgument, "etcdserver: permission not given")
    public static let invalidAuthManagement = Self(.invalidArgument, "etcdserver: invalid auth management")
    public static let oldAuthRevision = Self(.invalidArgument, "etcdserver: revision of auth store is old")
    public static let rootUserMissing = Self(.failedPrecondition, "etcdserver: root user does not exist")
    public static let rootRoleMissing = Self(.failedPrecondition, "etcdserver: root user does not have root role")
    public static let userExists = Self(.failedPrecondition, "etcdserver: user name already exists")
    public static let userNotFound = Self(.failedPrecondition, "etcdserver: user name not found")
    public static let roleExists = Self(.failedPrecondition, "etcdserver: role name already exists")
    public static let roleNotFound = Self(.failedPrecondition, "etcdserver: role name not found")
    public static let roleNotGranted = Self(.failedPrecondition, "etcdserver: role is not granted to the user")
    public static let permissionNotGranted = Self(
        .failedPrecondition,
        "etcdserver: permission is not granted to the role"
    )
    public static let authNotEnabled = Self(.failedPrecondition, "etcdserver: authentication is not enabled")
    public static let verifyOnlyKey = Self(.unknown, "token signing attempted with verify-only key")
    public static let permissionDenied = Self(.permissionDenied, "etcdserver: permission denied")
    public static let invalidToken = Self(.unauthenticated, "etcdserver: invalid auth token")
}
