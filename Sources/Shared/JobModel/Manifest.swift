/// The manifest of one dataset of one run: a file that Redshift's COPY accepts as its manifest, with further keys.
///
/// `entries[].url`, `mandatory` and `meta.content_length` are Redshift's ("Loading data files using a manifest");
/// `schema`, `meta` and `author` are those of UNLOAD's MANIFEST VERBOSE. `record_count` counts data rows, without the
/// header line of each part.
package struct DatasetManifest: Sendable, Hashable, Codable {
    package struct Entry: Sendable, Hashable, Codable {
        /// The address of the part.
        package var url: String
        /// Whether a load must fail if the part is missing: always true.
        package var mandatory: Bool
        package var meta: Counts
        /// The digest of the stored bytes, hexadecimal.
        package var sha256: String
        /// The customer bucket.
        package var partition: Int

        package init(url: String, contentLength: Int, recordCount: Int, sha256: String, partition: Int) {
            self.url = url
            mandatory = true
            meta = Counts(contentLength: contentLength, recordCount: recordCount)
            self.sha256 = sha256
            self.partition = partition
        }
    }

    package struct Counts: Sendable, Hashable, Codable {
        /// Bytes as stored.
        package var contentLength: Int
        /// Data rows, without header lines.
        package var recordCount: Int

        package init(contentLength: Int, recordCount: Int) {
            self.contentLength = contentLength
            self.recordCount = recordCount
        }
    }

    package struct Schema: Sendable, Hashable, Codable {
        package var elements: [DatasetColumn]
    }

    /// The program that wrote the manifest.
    package struct Author: Sendable, Hashable, Codable {
        package var name: String
        package var version: String

        package init(name: String, version: String) {
            self.name = name
            self.version = version
        }
    }

    /// The text format of the parts.
    package struct Dialect: Sendable, Hashable, Codable {
        /// Always CSV.
        package var format = "csv"
        package var encoding = "UTF-8"
        /// The text between fields.
        package var delimiter = ","
        /// The text around fields that need quotes.
        package var quote = "\""
        /// The text before a quote inside quotes.
        package var escape = "\""
        /// The text after each row.
        package var lineTerminator = "\n"
        /// Whether each part begins with a line of column names.
        package var header = true
        /// NULL is an empty field; an empty text is two quotes.
        package var null = ""
        package var compression: Compression

        /// PostgreSQL's CSV with the compression of the run.
        package init(compression: Compression) { self.compression = compression }
    }

    /// The parts, in order of partition and number.
    package var entries: [Entry]
    package var schema: Schema
    package var meta: Counts
    package var author: Author
    package var dataset: SegmentName
    package var run: RunContext
    /// The columns that identify a row.
    package var key: [String]
    /// The text format of the parts.
    package var csv: Dialect
    package var totals: [ControlTotal]
    /// How a loader applies it: the rows of the date are replaced, so that no date is loaded twice.
    package var loadMode = "replace business_date"
    /// The run whose rows of the date this one replaces.
    package var replacesRunID: RunID?
    /// RFC 3339.
    package var generatedAt: String

    /// `meta` is the sum of the entries.
    package init(
        dataset: SegmentName, run: RunContext, entries: [Entry], columns: [DatasetColumn], key: [String],
        compression: Compression, totals: [ControlTotal], replacesRunID: RunID?, generatedAt: String, author: Author
    ) {
        self.entries = entries
        schema = Schema(elements: columns)
        meta = Counts(
            contentLength: entries.reduce(0) { $0 + $1.meta.contentLength },
            recordCount: entries.reduce(0) { $0 + $1.meta.recordCount })
        self.author = author
        self.dataset = dataset
        self.run = run
        self.key = key
        csv = Dialect(compression: compression)
        self.totals = totals
        self.replacesRunID = replacesRunID
        self.generatedAt = generatedAt
    }
}

/// One column of a dataset, as UNLOAD's MANIFEST VERBOSE writes it.
package struct DatasetColumn: Sendable, Hashable, Codable {
    /// PostgreSQL's name of the type with its modifier, such as `numeric(14,2)`.
    package struct ColumnType: Sendable, Hashable, Codable {
        package var base: String

        package init(base: String) { self.base = base }
    }

    package var name: String
    package var type: ColumnType

    package init(name: String, type: String) {
        self.name = name
        self.type = ColumnType(base: type)
    }
}

/// The manifest of one run: it names the manifest of each dataset. `latest.json` is a copy of it.
package struct RunManifest: Sendable, Hashable, Codable {
    package struct Dataset: Sendable, Hashable, Codable {
        package var name: SegmentName
        /// The address of the dataset's manifest.
        package var manifestURI: String
        /// The digest of the manifest's bytes, hexadecimal.
        package var manifestSHA256: String
        package var parts: Int
        /// Data rows.
        package var rows: Int
        /// Bytes as stored.
        package var bytes: Int
        package var totals: [ControlTotal]

        package init(
            name: SegmentName, manifestURI: String, manifestSHA256: String, parts: Int, rows: Int, bytes: Int,
            totals: [ControlTotal]
        ) {
            self.name = name
            self.manifestURI = manifestURI
            self.manifestSHA256 = manifestSHA256
            self.parts = parts
            self.rows = rows
            self.bytes = bytes
            self.totals = totals
        }
    }

    package var run: RunContext
    /// RFC 3339; data loaded up to this time are included.
    package var cutoff: String
    package var systems: [String]
    /// The number of customer buckets.
    package var partitionCount: Int
    /// The datasets, in order of name.
    package var datasets: [Dataset]
    /// The findings of checks of severity `warn`.
    package var warnings: [Warning]
    /// The run of the same date whose rows this one replaces.
    package var replacesRunID: RunID?
    /// RFC 3339.
    package var generatedAt: String
    package var author: DatasetManifest.Author

    /// A finding of a check that did not stop the run.
    package struct Warning: Sendable, Hashable, Codable {
        package var check: SegmentName
        /// Data rows.
        package var rows: Int
        package var hint: String?

        package init(check: SegmentName, rows: Int, hint: String?) {
            self.check = check
            self.rows = rows
            self.hint = hint
        }
    }

    package init(
        run: RunContext, cutoff: String, systems: [String], partitionCount: Int, datasets: [Dataset],
        warnings: [Warning], replacesRunID: RunID?, generatedAt: String, author: DatasetManifest.Author
    ) {
        self.run = run
        self.cutoff = cutoff
        self.systems = systems
        self.partitionCount = partitionCount
        self.datasets = datasets
        self.warnings = warnings
        self.replacesRunID = replacesRunID
        self.generatedAt = generatedAt
        self.author = author
    }
}
