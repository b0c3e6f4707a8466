import JobModel
import Postgres
import Testing

/// What plain SQL over the vaults says for the sample's date: other queries than those of the scripts, over the whole
/// warehouse at once, and the ageing of balances in Swift.
struct ExpectedRows {
    let session: PostgresSession

    /// The newest versions as of the cut-off, and Tripica's and SAP's hierarchies.
    private static let views = """
        SET datestyle = 'ISO'; SET timezone = 'UTC';
        CREATE TEMP VIEW accounts AS
            SELECT a.account_hk, a.account_no, c.customer_no FROM datalake_vault.link_account_customer AS l
            JOIN datalake_vault.hub_account AS a USING (account_hk) JOIN datalake_vault.hub_customer AS c USING (customer_hk)
            WHERE l.load_dts <= 'CUTOFF';
        CREATE TEMP VIEW charges AS
            SELECT h.charge_no, DATE 'DAY' AS business_date, s.document_no, a.customer_no, a.account_no, k.contract_no,
                   s.charge_type, s.status, s.document_date, s.due_date, s.currency, s.tax_rate, s.amount_net, s.amount_tax,
                   s.amount_gross, s.cancels_charge_no, s.description, s.load_dts AT TIME ZONE 'UTC' AS loaded_at_utc
            FROM (SELECT DISTINCT ON (charge_hk) * FROM datalake_vault.sat_charge WHERE load_dts <= 'CUTOFF'
                  ORDER BY charge_hk, load_dts DESC) AS s
            JOIN datalake_vault.hub_charge AS h USING (charge_hk)
            JOIN datalake_vault.link_charge AS l USING (charge_hk)
            JOIN datalake_vault.hub_contract AS k USING (contract_hk)
            JOIN accounts AS a USING (account_hk)
            WHERE l.load_dts <= 'CUTOFF' AND s.document_date <= 'DAY';
        CREATE TEMP VIEW payments AS
            SELECT a.account_no, s.amount
            FROM (SELECT DISTINCT ON (payment_hk) * FROM datalake_vault.sat_payment WHERE load_dts <= 'CUTOFF'
                  ORDER BY payment_hk, load_dts DESC) AS s
            JOIN datalake_vault.link_payment_account AS l USING (payment_hk) JOIN accounts AS a USING (account_hk)
            WHERE l.load_dts <= 'CUTOFF' AND s.value_date <= 'DAY' AND s.status = 'received';
        CREATE TEMP VIEW write_offs AS
            SELECT h.write_off_no, DATE 'DAY' AS business_date, a.customer_no, a.account_no, s.document_no, s.write_off_date,
                   s.reason, s.status, s.currency, s.amount, s.load_dts AT TIME ZONE 'UTC' AS loaded_at_utc
            FROM (SELECT DISTINCT ON (write_off_hk) * FROM datalake_vault.sat_write_off WHERE load_dts <= 'CUTOFF'
                  ORDER BY write_off_hk, load_dts DESC) AS s
            JOIN datalake_vault.hub_write_off AS h USING (write_off_hk)
            JOIN datalake_vault.link_write_off_account AS l USING (write_off_hk) JOIN accounts AS a USING (account_hk)
            WHERE l.load_dts <= 'CUTOFF' AND s.write_off_date <= 'DAY';
        CREATE TEMP VIEW dunning AS
            SELECT h.case_no, DATE 'DAY' AS business_date, a.customer_no, a.account_no, s.document_no, s.status,
                   s.dunning_level, s.level_date, s.currency, s.amount_dunned, s.fee, b.dunning_case_hk IS NOT NULL AS is_blocked,
                   b.block_reason, b.blocked_from, b.blocked_until, s.load_dts AT TIME ZONE 'UTC' AS loaded_at_utc
            FROM (SELECT DISTINCT ON (dunning_case_hk) * FROM dunning_vault.sat_dunning_case WHERE load_dts <= 'CUTOFF'
                  ORDER BY dunning_case_hk, load_dts DESC) AS s
            JOIN dunning_vault.hub_dunning_case AS h USING (dunning_case_hk)
            JOIN dunning_vault.link_dunning_case_account AS l USING (dunning_case_hk) JOIN accounts AS a USING (account_hk)
            LEFT JOIN (SELECT DISTINCT ON (dunning_case_hk) * FROM dunning_vault.sat_dunning_block WHERE load_dts <= 'CUTOFF'
                       ORDER BY dunning_case_hk, load_dts DESC) AS b
                ON b.dunning_case_hk = s.dunning_case_hk AND DATE 'DAY' BETWEEN b.blocked_from AND coalesce(b.blocked_until, 'infinity')
            WHERE l.load_dts <= 'CUTOFF' AND s.level_date <= 'DAY';
        CREATE TEMP VIEW documents AS
            SELECT document_hk, h.company_code, h.fiscal_year, h.document_no, p.partner_no AS customer_no, s.document_type,
                   s.document_date, s.posting_date, s.reference, s.currency, s.header_text
            FROM (SELECT DISTINCT ON (document_hk) * FROM bookkeeper_vault.sat_document WHERE load_dts <= 'CUTOFF'
                  ORDER BY document_hk, load_dts DESC) AS s
            JOIN bookkeeper_vault.hub_document AS h USING (document_hk)
            JOIN bookkeeper_vault.link_document_partner AS l USING (document_hk)
            LEFT JOIN bookkeeper_vault.hub_business_partner AS p USING (partner_hk)
            WHERE l.load_dts <= 'CUTOFF' AND s.posting_date <= 'DAY';
        CREATE TEMP VIEW bookings AS
            SELECT d.company_code, d.fiscal_year, d.document_no, l.line_no, DATE 'DAY' AS business_date, d.customer_no,
                   d.document_type, d.document_date, d.posting_date, l.due_date, d.reference, d.currency, l.amount, d.header_text,
                   l.line_text, l.load_dts AT TIME ZONE 'UTC' AS loaded_at_utc
            FROM documents AS d JOIN (
                SELECT *, rank() OVER (PARTITION BY document_hk ORDER BY load_dts DESC) AS age
                FROM bookkeeper_vault.msat_document_line WHERE load_dts <= 'CUTOFF') AS l USING (document_hk)
            WHERE l.age = 1 AND d.customer_no IS NOT NULL;
        CREATE TEMP VIEW journal_entries AS
            SELECT d.company_code, d.fiscal_year, d.document_no, l.line_no, DATE 'DAY' AS business_date, d.customer_no,
                   d.document_type, d.posting_date, l.gl_account, d.currency,
                   (l.amount * (l.debit_credit = 'S')::int)::numeric(14,2) AS debit,
                   (l.amount * (l.debit_credit = 'H')::int)::numeric(14,2) AS credit,
                   l.cost_center, l.load_dts AT TIME ZONE 'UTC' AS loaded_at_utc
            FROM documents AS d JOIN (
                SELECT *, rank() OVER (PARTITION BY document_hk ORDER BY load_dts DESC) AS age
                FROM bookkeeper_vault.msat_journal_line WHERE load_dts <= 'CUTOFF') AS l USING (document_hk)
            WHERE l.age = 1;
        CREATE TEMP VIEW taxes AS
            SELECT d.company_code, d.fiscal_year, d.document_no, l.line_no, DATE 'DAY' AS business_date, d.customer_no,
                   d.document_type, d.posting_date, d.currency, l.tax_code, l.tax_rate, l.net_amount, l.tax_amount,
                   l.load_dts AT TIME ZONE 'UTC' AS loaded_at_utc
            FROM documents AS d JOIN (
                SELECT *, rank() OVER (PARTITION BY document_hk ORDER BY load_dts DESC) AS age
                FROM bookkeeper_vault.msat_tax_line WHERE load_dts <= 'CUTOFF') AS l USING (document_hk)
            WHERE l.age = 1;
        """

    init(_ session: PostgresSession) async throws {
        self.session = session
        let views = Self.views.replacing("CUTOFF", with: SampleWarehouse.cutoff).replacing(
            "DAY", with: SampleWarehouse.date)
        try await session.execute(views, action: "make the views of a test")
    }

    /// The datasets that a view above has, column for column.
    static let viewsOfDatasets = [
        "tripica.charges": "charges", "tripica.write_offs": "write_offs", "tripica.dunning": "dunning",
        "bookkeeper.bookings": "bookings", "bookkeeper.journal_entries": "journal_entries",
        "bookkeeper.taxes": "taxes",
    ]

    func rows(of view: String) async throws -> [[String?]] {
        try await session.execute("SELECT * FROM \(view)", action: "read what is expected").rows
    }

    /// The balances: account, customer, and the amounts in cents by name.
    struct Balance: Equatable {
        var customer: String
        var cents: [String: Int]
        var oldestDueDate: String?
    }

    /// Every account's balance, its ageing worked out item by item.
    func balances() async throws -> [String: Balance] {
        func query(_ sql: String) async throws -> [[String?]] {
            try await session.execute(sql, action: "read what is expected").rows
        }
        // A cancellation joins the charge that it cancels, due when that one is.
        let items = try await query(
            """
            SELECT i.account_no, coalesce(o.due_date, min(i.due_date))::text, (sum(i.amount_gross) * 100)::bigint,
                   (coalesce(o.due_date, min(i.due_date)) - DATE '\(SampleWarehouse.date)')
            FROM charges AS i
            LEFT JOIN charges AS o
                ON o.charge_no = coalesce(i.cancels_charge_no, i.charge_no) AND o.account_no = i.account_no
            GROUP BY i.account_no, coalesce(i.cancels_charge_no, i.charge_no), o.due_date ORDER BY 1, 2
            """)
        let sums = try await query(
            """
            SELECT a.account_no, a.customer_no,
                   coalesce((SELECT sum(amount_gross) * 100 FROM charges WHERE account_no = a.account_no), 0)::bigint,
                   coalesce((SELECT sum(amount) * 100 FROM payments WHERE account_no = a.account_no), 0)::bigint,
                   coalesce((SELECT sum(amount) * 100 FROM write_offs
                             WHERE account_no = a.account_no AND status = 'booked'), 0)::bigint
            FROM accounts AS a
            """)
        let itemsOfAccount = Dictionary(grouping: items) { $0[0] ?? "" }
        var balances: [String: Balance] = [:]
        for row in sums {
            let account = try #require(row[0])
            let (charged, paid, writtenOff) = (Self.number(row[2]), Self.number(row[3]), Self.number(row[4]))
            let amounts = (itemsOfAccount[account] ?? []).map {
                (due: $0[1], cents: Self.number($0[2]), days: Self.number($0[3]))
            }
            let favour = amounts.reduce(0) { $0 - min($1.cents, 0) } + paid + writtenOff
            var left = max(favour, 0)
            var cents = [
                "charged": charged, "paid": paid, "written_off": writtenOff, "open_amount": charged - paid - writtenOff,
                "not_due": 0, "overdue": 0, "overdue_0_30": 0, "overdue_31_60": 0, "overdue_61_90": 0,
                "overdue_over_90": 0,
            ]
            var oldest: String?
            func owe(_ amount: Int, due: String?, days: Int) {
                if amount == 0 { return }
                oldest = [oldest, due].compactMap { $0 }.min()
                let age =
                    switch -days {
                    case ..<0: "not_due"
                    case ...30: "overdue_0_30"
                    case ...60: "overdue_31_60"
                    case ...90: "overdue_61_90"
                    default: "overdue_over_90"
                    }
                cents[age]! += amount
                if age != "not_due" { cents["overdue"]! += amount }
            }
            for item in amounts where item.cents > 0 {
                let settled = min(left, item.cents)
                left -= settled
                owe(item.cents - settled, due: item.due, days: item.days)
            }
            owe(max(-favour, 0), due: SampleWarehouse.date, days: 0)
            cents["credit"] = left
            balances[account] = Balance(customer: row[1] ?? "", cents: cents, oldestDueDate: oldest)
        }
        return balances
    }

    private static func number(_ text: String?) -> Int { text.flatMap { Int($0) } ?? 0 }

    /// Every customer of either system with what SAP has booked, in cents.
    func booked() async throws -> [String: Int] {
        let rows = try await session.execute(
            """
            SELECT customer_no, (coalesce((SELECT sum(amount) FROM bookings AS b WHERE b.customer_no = c.customer_no), 0) * 100)::bigint
            FROM (SELECT customer_no FROM datalake_vault.hub_customer WHERE load_dts <= '\(SampleWarehouse.cutoff)'
                  UNION SELECT partner_no FROM bookkeeper_vault.hub_business_partner
                        WHERE load_dts <= '\(SampleWarehouse.cutoff)') AS c
            """, action: "read what is expected"
        ).rows
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0] ?? "", Self.number($0[1])) })
    }

    /// A CSV field of money in cents; nil when it is not written with two decimals.
    static func cents(_ text: String??) -> Int? {
        guard let text = text ?? nil, let point = text.firstIndex(of: "."), text[point...].count == 3 else {
            return nil
        }
        return Int(text.replacing(".", with: ""))
    }
}
