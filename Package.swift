// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

// Tests themselves are thin, and optimizing them takes longer than they save; what they test is optimized.
let testSettings = swiftSettings + [.unsafeFlags(["-Onone"], .when(configuration: .release))]

let package = Package(
    name: "drover",
    products: [
        .library(name: "Drover", targets: ["Drover"]),
        .library(name: "DroverSQLite", targets: ["DroverSQLite"]),
        .library(name: "DroverPostgreSQL", targets: ["DroverPostgreSQL"]),
        .library(name: "DroverMySQL", targets: ["DroverMySQL"]),
        .library(name: "DroverServer", targets: ["DroverServer"]),
        .library(name: "DroverClient", targets: ["DroverClient"]),
        .library(name: "EtcdAPI", targets: ["EtcdAPI"]),
        .executable(name: "drover", targets: ["drover"]),
    ],
    traits: [
        .trait(name: "SQLite", description: "The embedded SQLite backend (needs libsqlite3)."),
        .trait(name: "PostgreSQL", description: "The PostgreSQL backend (needs libpq)."),
        .trait(name: "MySQL", description: "The MySQL and MariaDB backend (needs libmariadb)."),
        .default(enabledTraits: ["SQLite", "PostgreSQL", "MySQL"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CSQLite",
            pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"])]
        ),
        .target(
            name: "Drover",
            dependencies: [
                .product(name: "Logging", package: "swift-log"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "CWriteAheadVFS",
            dependencies: [.target(name: "CSQLite", condition: .when(traits: ["SQLite"]))]
        ),
        .target(
            name: "DroverSQLite",
            dependencies: [
                "Drover", .target(name: "CSQLite", condition: .when(traits: ["SQLite"])),
                .target(name: "CWriteAheadVFS", condition: .when(traits: ["SQLite"])),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .systemLibrary(
            name: "CLibPQ",
            pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"])]
        ),
        .target(
            name: "DroverPostgreSQL",
            dependencies: [
                "Drover", .target(name: "CLibPQ", condition: .when(traits: ["PostgreSQL"])),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .systemLibrary(
            name: "CMariaDB",
            pkgConfig: "libmariadb",
            providers: [.apt(["libmariadb-dev"])]
        ),
        .target(
            name: "DroverMySQL",
            dependencies: [
                "Drover", .target(name: "CMariaDB", condition: .when(traits: ["MySQL"])),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "DroverBackends",
            dependencies: [
                "Drover",
                .target(name: "DroverSQLite", condition: .when(traits: ["SQLite"])),
                .target(name: "DroverPostgreSQL", condition: .when(traits: ["PostgreSQL"])),
                .target(name: "DroverMySQL", condition: .when(traits: ["MySQL"])),
            ],
            swiftSettings: swiftSettings
        ),
        .systemLibrary(
            name: "CZlib",
            pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"])]
        ),
        .target(
            name: "EtcdAPI",
            dependencies: [
                "Drover",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            exclude: ["Protos"],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "DroverTLS",
            dependencies: [.product(name: "NIOSSL", package: "swift-nio-ssl")],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "DroverServer",
            dependencies: [
                "Drover", "EtcdAPI", "DroverTLS", "CZlib",
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "DroverBench",
            dependencies: [
                "Drover", "DroverClient", "DroverServer", "EtcdAPI",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "DroverClient",
            dependencies: [
                "EtcdAPI", "DroverTLS",
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: swiftSettings
        ),
        .executableTarget(
            name: "drover",
            dependencies: [
                "Drover", "DroverBackends", "DroverServer", "DroverClient", "DroverBench", "EtcdAPI",
                .target(name: "DroverSQLite", condition: .when(traits: ["SQLite"])),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Drover", "EtcdAPI", "DroverServer",
                .target(name: "DroverSQLite", condition: .when(traits: ["SQLite"])),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Fuzz/Targets",
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Kernels",
            dependencies: [
                "Drover", "DroverBackends", "EtcdAPI", "DroverServer",
                .target(name: "DroverSQLite", condition: .when(traits: ["SQLite"])),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Benchmarks/Kernels",
            swiftSettings: swiftSettings
        ),
        .executableTarget(
            name: "drover-kernels",
            dependencies: ["Kernels"],
            path: "Benchmarks/KernelRunner",
            swiftSettings: swiftSettings
        ),
        .target(
            name: "CFaultVFS",
            dependencies: ["CSQLite"],
            path: "Tests/CFaultVFS"
        ),
        .target(
            name: "TestSupport",
            dependencies: [
                "Drover", "DroverClient", "EtcdAPI",
                .target(name: "CFaultVFS", condition: .when(traits: ["SQLite"])),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Tests/TestSupport",
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "DroverTests",
            dependencies: ["Drover", "TestSupport"],
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "ConformanceTests",
            dependencies: [
                "Drover", "TestSupport",
                .target(name: "DroverSQLite", condition: .when(traits: ["SQLite"])),
                .target(name: "DroverPostgreSQL", condition: .when(traits: ["PostgreSQL"])),
                .target(name: "DroverMySQL", condition: .when(traits: ["MySQL"])),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "EtcdAPITests",
            dependencies: [
                "EtcdAPI", "Drover", "TestSupport",
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "DroverServerTests",
            dependencies: [
                "DroverServer", "DroverClient", "Drover", "EtcdAPI", "TestSupport", "FuzzTargets",
                .product(name: "Logging", package: "swift-log"),
                .target(name: "CSQLite", condition: .when(traits: ["SQLite"])),
                .target(name: "DroverSQLite", condition: .when(traits: ["SQLite"])),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "DroverBenchTests",
            dependencies: ["DroverBench", "TestSupport"],
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "SystemTests",
            dependencies: [
                "drover", "DroverClient", "EtcdAPI", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: testSettings
        ),
    ]
)

// The fuzzer links libFuzzer, which only a build with its sanitizer has: `make fuzz`.
if Context.environment["DROVER_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "drover-fuzz",
            dependencies: ["FuzzTargets"],
            path: "Fuzz/Driver",
            swiftSettings: swiftSettings
        )
    )
}

// The micro benchmarks bring a framework that users of the library need not fetch: `make bench`.
if Context.environment["DROVER_MICRO"] != nil {
    package.dependencies.append(.package(url: "https://github.com/ordo-one/benchmark", from: "1.38.0", traits: []))
    package.targets.append(
        .executableTarget(
            name: "Micro",
            dependencies: ["Kernels", .product(name: "Benchmark", package: "benchmark")],
            path: "Benchmarks/Micro",
            swiftSettings: swiftSettings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        )
    )
}
