// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "counter",
    dependencies: [.package(name: "drover", path: "../..")],
    targets: [
        .executableTarget(
            name: "counter",
            dependencies: [
                .product(name: "Drover", package: "drover"),
                .product(name: "DroverSQLite", package: "drover"),
            ]
        )
    ]
)
