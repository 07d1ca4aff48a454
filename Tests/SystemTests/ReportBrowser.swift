import Foundation
import TestSupport
import Testing

/// What a browser makes of a report of the harness.
struct ReportBrowser {
    private let program: String
    private let directory: String
    private let options: [String]

    /// - Parameter directory: where `report.html` is.
    /// - Returns: nil on Ubuntu without a browser, which has none but in a container's form.
    init?(_ directory: String) throws {
        let found = find("chromium")
        let system = (try? String(contentsOfFile: "/etc/os-release", encoding: .utf8)) ?? ""
        if found == nil && system.split(separator: "\n").contains("ID=ubuntu") { return nil }
        program = try #require(found, "there is no chromium; `make test` installs it")
        self.directory = directory
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=\(directory)/browser",
        ]
    }

    private func open(_ page: String, _ more: [String]) throws -> (output: String, error: String) {
        let result = try run(program, options + more + ["file://\(directory)/\(page)"], timeout: 60)
        return (result.output, result.error)
    }

    /// Pictures, printed and dark, what is said of charts, and where things are.
    func look() throws {
        for (name, more) in [
            ("wide", ["--window-size=1200,2400"]), ("dark", ["--window-size=1200,2400", "--force-dark-mode"]),
        ] {
            let shot = "\(directory)/\(name).png"
            let result = try open("report.html", more + ["--screenshot=\(shot)"])
            let image = try Data(contentsOf: URL(fileURLWithPath: shot))
            // A page of charts and tables; an empty one of that size has some 10 KB.
            #expect(image.count > 40_000, "\(name): \(image.count) bytes: \(result.error.suffix(300))")
        }
        try measure()
        let document = try open("report.html", ["--dump-dom"]).output
        // What is said of a chart to who does not see it.
        for words in [
            "aria-label=\"Calls a second: own ", "aria-label=\"Events a second, all watches together: own ",
            "Time of a put: the share that is answered within it: own median ", "Peak memory (MiB): own ",
            "Time of a delivery", "<th scope=\"row\">lost</th>",
            "drover was not measured: only a store that is opened here", "memory of own hold the load's own",
        ] {
            #expect(document.contains(words), "the page does not say \(words)")
        }
        // Nothing is fetched.
        #expect(!document.contains("<script") && !document.contains("src=") && !document.contains("<link"))
        let printed = "\(directory)/report.pdf"
        _ = try open("report.html", ["--print-to-pdf=\(printed)"])
        #expect(try Data(contentsOf: URL(fileURLWithPath: printed)).count > 20_000)
    }

    /// Where the browser puts things, and in which colours: told by a script in a copy of the page.
    private func measure() throws {
        let script = """
            <script>
            const brightness = c => c.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) / 3;
            const charts = [...document.querySelectorAll("svg")].map(s => s.getBoundingClientRect());
            const words = [...document.querySelectorAll("svg text")].map(t => t.getBoundingClientRect());
            document.body.setAttribute("data-look", [
                innerWidth,
                document.documentElement.scrollWidth - innerWidth,
                charts.filter(c => c.width > 200 && c.height > 25).length,
                [...charts, ...words].filter(c => c.left < 0 || c.right > innerWidth + 1).length,
                Math.round(brightness(getComputedStyle(document.body).backgroundColor)),
                Math.round(brightness(getComputedStyle(document.body).color)),
            ].join(" "));
            </script></body>
            """
        let report = try String(contentsOfFile: "\(directory)/report.html", encoding: .utf8)
        try report.replacingOccurrences(of: "</body>", with: script).write(
            toFile: "\(directory)/look.html",
            atomically: true,
            encoding: .utf8
        )
        // A window is at least 500 pixels wide, whatever is asked for: a phone is a frame in one.
        let phone = """
            <body><iframe id="f" src="look.html" style="width: 390px; height: 844px; border: 0"></iframe><script>
            f.onload = () => document.body.setAttribute("data-look", f.contentDocument.body.dataset.look);
            </script></body>
            """
        try phone.write(toFile: "\(directory)/phone.html", atomically: true, encoding: .utf8)
        for (name, page, width, more) in [
            ("wide", "look.html", 1_200, ["--window-size=1200,2400"]),
            ("phone", "phone.html", 390, ["--allow-file-access-from-files"]),
            ("dark", "look.html", 1_200, ["--window-size=1200,2400", "--blink-settings=preferredColorScheme=0"]),
        ] {
            let document = try open(page, more + ["--dump-dom"]).output
            let told = document.components(separatedBy: "data-look=\"").dropFirst().first?.prefix { $0 != "\"" }
            let look = (told ?? "").split(separator: " ").compactMap { Int($0) }
            try #require(look.count == 6 && look[0] == width, "\(name): \(told ?? "nothing")")
            #expect(look[1] <= 0, "\(name): the page is \(look[1]) pixels wider than the window")
            #expect(
                look[2] > 20 && look[3] == 0,
                "\(name): \(look[2]) charts, \(look[3]) of their parts outside the window"
            )
            let (ground, ink) = (look[4], look[5])
            #expect(name == "dark" ? ground < 60 && ink > 180 : ground > 200 && ink < 80, "\(name): \(look)")
        }
    }
}
