public import Logging

/// What a driver is given beside its endpoint.
public struct DriverOptions: Sendable {
    /// TLS to a database server. Where the endpoint says something of its own, that holds.
    public struct TLS: Sendable, Hashable {
        /// A file of certificates that the server's must come from; nil trusts the system's.
        public var authorityFile: String?
        /// This client's certificate.
        public var certificateFile: String?
        /// Its key.
        public var keyFile: String?
        /// Take any certificate.
        public var skipsVerification: Bool

        /// Settings from their parts.
        public init(
            authorityFile: String? = nil,
            certificateFile: String? = nil,
            keyFile: String? = nil,
            skipsVerification: Bool = false
        ) {
            self.authorityFile = authorityFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
            self.skipsVerification = skipsVerification
        }

        /// Whether anything is set.
        public var isSet: Bool {
            authorityFile != nil || certificateFile != nil || keyFile != nil || skipsVerification
        }
    }

    /// Where the driver logs.
    public var logger: Logger
    /// TLS to a database server.
    public var tls = TLS()

    /// Bytes of values that were committed lately or read more than once and are kept; 0 keeps none. Default
    /// ``RowCache/defaultBytes``.
    public var cachedRowBytes = RowCache.defaultBytes

    /// Options with a logger.
    public init(logger: Logger = Logger(label: "drover")) {
        self.logger = logger
    }
}
