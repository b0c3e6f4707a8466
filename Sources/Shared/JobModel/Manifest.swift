/// What BI may load of one dataset of one run: a file that Redshift's COPY accepts as its manifest, with more beside.
///
/// `entries[].url`, `mandatory` and `meta.content_length` are Redshift's ("Loading data files using a manifest");
/// `schema`, `meta` and `author` are those of UNLOAD's MANIFEST VERBOSE. `record_count` counts data rows, without the
/// header line of each part.
package struct DatasetManifest: Sendable, Hashable, Codable {
    /// One part.
    package struct Entry: Sendable, Hashable, Codable {
        /// Where the part lies.
        package var url: String
        /// Whether a loader must fail without it: always.
        package var mandatory: Bool
        /// Its counts.
        package var meta: Counts
        /// Of the stored bytes, hexadecimal.
        package var sha256: String
        /// The customer bucket.
        package var partition: Int

        /// The entry of one part.
        package init(url: String, contentLength: Int, recordCount: Int, sha256: String, partition: Int) {
            self.url = url
            mandatory = true
            meta = Counts(contentLength: contentLength, recordCount: recordCount)
            self.sha256 = sha256
            self.partition = partition
        }
    }

    /// Bytes and rows.
    package struct Counts: Sendable, Hashable, Codable {
        /// Stored bytes.
        package var contentLength: Int
        /// Data rows, without header lines.
        package var recordCount: Int

        /// Counts of a part or of all.
        package init(contentLength: Int, recordCount: Int) {
            self.contentLength = contentLength
            self.recordCount = recordCount
        }
    }

    /// The columns.
    package struct Schema: Sendable, Hashable, Codable {
        /// In order.
        package var elements: [DatasetColumn]
    }

    /// Who wrote it.
    package struct Author: Sendable, Hashable, Codable {
        /// Its name.
        package var name: String
        /// Its version.
        package var version: String

        /// The program and its version.
        package init(name: String, version: String) {
            self.name = name
            self.version = version
        }
    }

    /// How the parts' text is to be read.
    package struct Dialect: Sendable, Hashable, Codable {
        /// Always CSV.
        package var format = "csv"
        /// Of the text.
        package var encoding = "UTF-8"
        /// Between fields.
        package var delimiter = ","
        /// Around fields that need it.
        package var quote = "\""
        /// Before a quote inside quotes.
        package var escape = "\""
        /// After each row.
        package var lineTerminator = "\n"
        /// Whether each part begins with a line of column names.
        package var header = true
        /// NULL is nothing between two delimiters; an empty text is two quotes.
        package var null = ""
        /// How the parts are compressed.
        package var compression: Compression

        /// PostgreSQL's CSV, compressed as the run says.
        package init(compression: Compression) { self.compression = compression }
    }

    /// The parts, in order of partition and number.
    package var entries: [Entry]
    /// The columns.
    package var schema: Schema
    /// Its counts.
    package var meta: Counts
    /// Who wrote it.
    package var author: Author
    /// The dataset.
    package var dataset: SegmentName
    /// The run.
    package var run: RunContext
    /// Its key.
    package var key: [String]
    /// How the parts are read.
    package var csv: Dialect
    /// The control totals.
    package var totals: [ControlTotal]
    /// How a loader applies it: the date's rows are replaced, so that nobody loads a date twice.
    package var loadMode = "replace business_date"
    /// The run whose rows of the date this one replaces.
    package var replacesRunID: RunID?
    /// RFC 3339.
    package var generatedAt: String

    /// The manifest of one dataset; `meta` adds up its entries.
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
    /// The type by PostgreSQL's name for it, such as `numeric(14,2)`.
    package struct ColumnType: Sendable, Hashable, Codable {
        /// PostgreSQL's name for it.
        package var base: String

        /// A type of that name.
        package init(base: String) { self.base = base }
    }

    /// Its name.
    package var name: String
    /// Its type.
    package var type: ColumnType

    /// A column of a type.
    package init(name: String, type: String) {
        self.name = name
        self.type = ColumnType(base: type)
    }
}

/// What BI may load of one run: it names the manifest of each dataset. `latest.json` is a copy of it.
package struct RunManifest: Sendable, Hashable, Codable {
    /// One dataset.
    package struct Dataset: Sendable, Hashable, Codable {
        /// Its name.
        package var name: SegmentName
        /// Where the manifest lies.
        package var manifestURI: String
        /// Of the manifest's bytes, hexadecimal.
        package var manifestSHA256: String
        /// Parts, that is files.
        package var parts: Int
        /// Data rows.
        package var rows: Int
        /// Bytes as stored.
        package var bytes: Int
        /// The control totals.
        package var totals: [ControlTotal]

        /// The figures of one dataset.
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

    /// The run.
    package var run: RunContext
    /// RFC 3339: loads up to this instant count.
    package var cutoff: String
    /// The systems that run.
    package var systems: [String]
    /// N, the number of customer buckets.
    package var partitionCount: Int
    /// The datasets, in order of name.
    package var datasets: [Dataset]
    /// What checks of severity `warn` found.
    package var warnings: [Warning]
    /// The run of the same date whose rows this one replaces.
    package var replacesRunID: RunID?
    /// RFC 3339.
    package var generatedAt: String
    /// Who wrote it.
    package var author: DatasetManifest.Author

    /// A check that found something and let the run go on.
    package struct Warning: Sendable, Hashable, Codable {
        /// The check.
        package var check: SegmentName
        /// Data rows.
        package var rows: Int
        /// What to do about it.
        package var hint: String?

        /// The finding of one check.
        package init(check: SegmentName, rows: Int, hint: String?) {
            self.check = check
            self.rows = rows
            self.hint = hint
        }
    }

    /// The manifest of a run.
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
