/// What BI may load of one dataset of one run: a file that Redshift's COPY accepts as its manifest, with more beside.
///
/// `entries[].url`, `mandatory` and `meta.content_length` are Redshift's ("Loading data files using a manifest");
/// `schema`, `meta` and `author` are those of UNLOAD's MANIFEST VERBOSE. `record_count` counts data rows, without the
/// header line of each part.
public struct DatasetManifest: Sendable, Hashable, Codable {
    /// One part.
    public struct Entry: Sendable, Hashable, Codable {
        /// Where the part lies.
        public var url: String
        /// Whether a loader must fail without it: always.
        public var mandatory: Bool
        /// Its counts.
        public var meta: Counts
        /// Of the stored bytes, hexadecimal.
        public var sha256: String
        /// The customer bucket.
        public var partition: Int

        /// The entry of one part.
        public init(url: String, contentLength: Int, recordCount: Int, sha256: String, partition: Int) {
            self.url = url
            mandatory = true
            meta = Counts(contentLength: contentLength, recordCount: recordCount)
            self.sha256 = sha256
            self.partition = partition
        }
    }

    /// Bytes and rows.
    public struct Counts: Sendable, Hashable, Codable {
        /// Stored bytes.
        public var contentLength: Int
        /// Data rows, without header lines.
        public var recordCount: Int

        /// Counts of a part or of all.
        public init(contentLength: Int, recordCount: Int) {
            self.contentLength = contentLength
            self.recordCount = recordCount
        }
    }

    /// The columns.
    public struct Schema: Sendable, Hashable, Codable {
        /// In order.
        public var elements: [DatasetColumn]
    }

    /// Who wrote it.
    public struct Author: Sendable, Hashable, Codable {
        /// Its name.
        public var name: String
        /// Its version.
        public var version: String

        /// The program and its version.
        public init(name: String, version: String) {
            self.name = name
            self.version = version
        }
    }

    /// How the parts' text is to be read.
    public struct Dialect: Sendable, Hashable, Codable {
        /// Always CSV.
        public var format = "csv"
        /// Of the text.
        public var encoding = "UTF-8"
        /// Between fields.
        public var delimiter = ","
        /// Around fields that need it.
        public var quote = "\""
        /// Before a quote inside quotes.
        public var escape = "\""
        /// After each row.
        public var lineTerminator = "\n"
        /// Whether each part begins with a line of column names.
        public var header = true
        /// NULL is nothing between two delimiters; an empty text is two quotes.
        public var null = ""
        /// How the parts are compressed.
        public var compression: Compression

        /// PostgreSQL's CSV, compressed as the run says.
        public init(compression: Compression) { self.compression = compression }
    }

    /// The parts, in order of partition and number.
    public var entries: [Entry]
    /// The columns.
    public var schema: Schema
    /// Its counts.
    public var meta: Counts
    /// Who wrote it.
    public var author: Author
    /// The dataset.
    public var dataset: SegmentName
    /// The run.
    public var run: RunContext
    /// Its key.
    public var key: [String]
    /// How the parts are read.
    public var csv: Dialect
    /// The control totals.
    public var totals: [ControlTotal]
    /// How a loader applies it: the date's rows are replaced, so that nobody loads a date twice.
    public var loadMode = "replace business_date"
    /// The run whose rows of the date this one replaces.
    public var replacesRunID: RunID?
    /// RFC 3339.
    public var generatedAt: String

    /// The manifest of one dataset; `meta` adds up its entries.
    public init(
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
public struct DatasetColumn: Sendable, Hashable, Codable {
    /// The type by PostgreSQL's name for it, such as `numeric(14,2)`.
    public struct ColumnType: Sendable, Hashable, Codable {
        /// PostgreSQL's name for it.
        public var base: String

        /// A type of that name.
        public init(base: String) { self.base = base }
    }

    /// Its name.
    public var name: String
    /// Its type.
    public var type: ColumnType

    /// A column of a type.
    public init(name: String, type: String) {
        self.name = name
        self.type = ColumnType(base: type)
    }
}

/// What BI may load of one run: it names the manifest of each dataset. `latest.json` is a copy of it.
public struct RunManifest: Sendable, Hashable, Codable {
    /// One dataset.
    public struct Dataset: Sendable, Hashable, Codable {
        /// Its name.
        public var name: SegmentName
        /// Where the manifest lies.
        public var manifestURI: String
        /// Of the manifest's bytes, hexadecimal.
        public var manifestSHA256: String
        /// Parts, that is files.
        public var parts: Int
        /// Data rows.
        public var rows: Int
        /// Bytes as stored.
        public var bytes: Int
        /// The control totals.
        public var totals: [ControlTotal]

        /// The figures of one dataset.
        public init(
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

    /// The run.
    public var run: RunContext
    /// RFC 3339: loads up to this instant count.
    public var cutoff: String
    /// The systems that run.
    public var systems: [String]
    /// N, the number of customer buckets.
    public var partitionCount: Int
    /// The datasets, in order of name.
    public var datasets: [Dataset]
    /// What checks of severity `warn` found.
    public var warnings: [Warning]
    /// The run of the same date whose rows this one replaces.
    public var replacesRunID: RunID?
    /// RFC 3339.
    public var generatedAt: String
    /// Who wrote it.
    public var author: DatasetManifest.Author

    /// A check that found something and let the run go on.
    public struct Warning: Sendable, Hashable, Codable {
        /// The check.
        public var check: SegmentName
        /// Data rows.
        public var rows: Int
        /// What to do about it.
        public var hint: String?

        /// The finding of one check.
        public init(check: SegmentName, rows: Int, hint: String?) {
            self.check = check
            self.rows = rows
            self.hint = hint
        }
    }

    /// The manifest of a run.
    public init(
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
