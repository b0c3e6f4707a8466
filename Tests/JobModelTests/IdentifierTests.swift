import JobModel
import Testing

@Suite struct IdentifierTests {
    @Test func runIDSortsByTimeAndNamesASchema() throws {
        var generator = SystemRandomNumberGenerator()
        let ids = [0, 1, 999, 1_000, 86_400_000, 1_775_013_300_123].map {
            RunID(millisecondsSince1970: $0, using: &generator)
        }
        #expect(ids == ids.sorted())
        #expect(ids[5].description.hasPrefix("20260401t031500123z_"))
        #expect(ids[5].schemaName == "bda_run_\(ids[5])")
        #expect(try RunID(ids[5].description) == ids[5])
    }

    @Test(arguments: [
        "", "20260401t031500123z_7f3", "20260401T031500123z_7f3a", "20260401t031500123z-7f3a",
        "20260401t031500123z_7F3a", "../../../../../../etc/pas", "20260401t0315001é3z_7f3",
    ])
    func wrongRunIDsAreRefused(_ text: String) {
        #expect(throws: InvalidValue.self) { try RunID(text) }
    }

    @Test func jobIDRoundTrips() throws {
        let id = try JobID("20260401t031500123z_7f3a/tripica.charges/0007")
        #expect(id.segment == (try SegmentName("tripica.charges")))
        #expect(id.partition == 7)
        #expect(id.description == "20260401t031500123z_7f3a/tripica.charges/0007")
    }

    @Test(arguments: [
        "20260401t031500123z_7f3a/tripica.charges/7", "20260401t031500123z_7f3a/tripica/0007",
        "20260401t031500123z_7f3a/tripica.charges/00070", "20260401t031500123z_7f3a/Tripica.charges/0007",
        "20260401t031500123z_7f3a/tripica.charges/0007/1", "20260401t031500123z_7f3a/tri'pica.charges/0007",
    ])
    func wrongJobIDsAreRefused(_ text: String) {
        #expect(throws: InvalidValue.self) { try JobID(text) }
    }

    @Test(arguments: [
        "", "tripica", "tripica.", ".charges", "..", "...", "tripica...", "tripica./charges", "tripica.char/ges",
        "../a.b",
        "tripica.%2e%2e", "tripica.charges\u{0}", "tripica.charges\n", "tripica.Charges", "tripica.1charges",
        "tripica.chärges",
        "tripica.charges\u{301}", "tripica.charges.x", "tripica.char-ges", "tripica.\"; DROP",
    ])
    func namesThatAreNoPlainWordsAreNoDatasets(_ text: String) {
        #expect(throws: InvalidValue.self) { try SegmentName(text) }
    }

    @Test func invalidValueIsShortEnoughForALog() {
        let long = String(repeating: "x", count: 10_000)
        #expect(throws: InvalidValue.self) { try JobID(long) }
        do { _ = try JobID(long) } catch { #expect(error.description.count < 300) }
    }

    @Test func invalidValueIsOneShortLineWhateverItsCharactersAre() throws {
        let accents = "x" + String(repeating: "\u{301}", count: 10_000)
        let error = try #require(throws: InvalidValue.self) {
            try JobID("a\nb\u{1B}[31m\u{85}\u{2028}\u{202E}" + accents)
        }
        #expect(error.description.utf8.count < 400)
        #expect(error.description.contains(#"a\nb\u{1B}[31m\u{0085}\u{2028}\u{202E}"#))
    }
}

@Suite struct BusinessDateTests {
    @Test func everyDayOfFourCenturiesRoundTrips() throws {
        var date = try BusinessDate("1900-01-01")
        for number in date.daysSince1970...(date.daysSince1970 + 400 * 366) {
            #expect(date.daysSince1970 == number)
            #expect(BusinessDate(daysSince1970: number) == date)
            date = date.adding(days: 1)
        }
    }

    @Test(arguments: [("2024-02-28", "2024-02-29"), ("2100-02-28", "2100-03-01"), ("2025-12-31", "2026-01-01")])
    func nextDay(_ pair: (String, String)) throws {
        #expect(try BusinessDate(pair.0).adding(days: 1) == BusinessDate(pair.1))
    }

    @Test(arguments: [
        "2026-02-29", "2026-13-01", "2026-00-10", "2026-1-01", "26-01-01", "2026-01-0١", "1899-12-31", "2026-04-31",
    ])
    func wrongDatesAreRefused(_ text: String) {
        #expect(throws: InvalidValue.self) { try BusinessDate(text) }
    }
}
