-- SAP documents, generated from Tripica's billing documents, with the usual differences between two systems: documents
-- that are not booked, booked days later, or booked with another amount; documents and partners that exist in SAP only.

CREATE TEMP TABLE gen_sap AS
SELECT s.*, pg_temp.hk('1000|' || s.fiscal_year || '|' || s.sap_no) AS document_hk
FROM (
    SELECT d.document_id, d.document_no AS reference, a.customer_hk AS partner_hk, d.day AS document_date, d.due,
           x.posting_date, extract(year FROM x.posting_date)::integer AS fiscal_year,
           (1800000000 + row_number() OVER (ORDER BY d.document_id))::text AS sap_no,
           CASE WHEN d.kind = 1 THEN 'AB' WHEN d.charge_type = 'GUTSCHRIFT' THEN 'DG' ELSE 'DR' END AS document_type,
           -- A few amounts differ by some cents, for example because another system rounded them.
           CASE WHEN pg_temp.pick(d.document_id, 72, 150) = 0 THEN 0.01 * (1 + pg_temp.pick(d.document_id, 73, 5)) ELSE 0 END AS deviation,
           -- SAP has most of the documents that are posted days later at once.
           CASE WHEN x.posting_date > d.day + 1 AND pg_temp.pick(d.document_id, 78, 4) > 0 THEN d.day + 1 ELSE x.posting_date END
           + CASE WHEN pg_temp.pick(d.document_id, 74, 40) = 0 THEN 1 + pg_temp.pick(d.document_id, 75, 5) ELSE 0 END AS load_day
    FROM gen AS g CROSS JOIN gen_document AS d
    JOIN gen_account AS a USING (account_id)
    CROSS JOIN LATERAL (
        SELECT d.day + CASE WHEN pg_temp.pick(d.document_id, 70, 15) = 0 THEN 2 + pg_temp.pick(d.document_id, 71, 9)
                            ELSE pg_temp.pick(d.document_id, 71, 2) END AS posting_date
    ) AS x
    -- Not booked: one in a hundred, and every tenth cancellation.
    WHERE pg_temp.pick(d.document_id, 76, 100) > 0 AND NOT (d.kind = 1 AND pg_temp.pick(d.document_id, 77, 10) = 0)
) AS s
CROSS JOIN gen AS g
WHERE s.load_day <= g.last_load;

-- The sums of the lines by tax rate.
CREATE TEMP TABLE gen_sap_rate AS
SELECT s.document_hk, p.tax_rate, sum(p.net1 + p.net2) AS net, sum(p.tax1 + p.tax2) AS tax,
       row_number() OVER (PARTITION BY s.document_hk ORDER BY p.tax_rate DESC) AS n
FROM gen_sap AS s
JOIN gen_position AS p USING (document_id)
GROUP BY s.document_hk, p.tax_rate;

CREATE TEMP TABLE gen_sap_sum AS
SELECT s.document_hk, s.document_id, s.load_day, s.due, s.deviation, s.document_type, r.rates, r.gross + s.deviation AS gross
FROM gen_sap AS s
JOIN (SELECT document_hk, sum(net + tax) AS gross, count(*)::integer AS rates FROM gen_sap_rate GROUP BY document_hk) AS r USING (document_hk);

-- Documents that exist in SAP only: manual postings to one customer in fifty, and to two partners that Tripica does not
-- have.
CREATE TEMP TABLE gen_sap_manual AS
SELECT m.*, pg_temp.hk('1000|' || m.fiscal_year || '|' || m.sap_no) AS document_hk
FROM (
    SELECT c.customer_id AS manual_id, c.customer_hk AS partner_hk,
           (1900000000 + c.customer_id)::text AS sap_no, x.day, extract(year FROM x.day)::integer AS fiscal_year,
           round(0.01 * (1000 + pg_temp.pick(c.customer_id, 81, 50000)), 2) AS amount
    FROM gen AS g
    CROSS JOIN (
        SELECT customer_id, customer_hk, created FROM gen_customer WHERE pg_temp.pick(customer_id, 80, 50) = 0
        UNION ALL
        SELECT 90000000 + i, pg_temp.hk('S' || lpad(i::text, 8, '0')), gen.first_day FROM gen, generate_series(1, 2) AS i
    ) AS c
    CROSS JOIN LATERAL (SELECT c.created + 1 + pg_temp.pick(c.customer_id, 82, g.last_day - c.created) AS day) AS x
    WHERE x.day <= g.last_day
) AS m;

-- Bank statements: one a day, without a customer.
CREATE TEMP TABLE gen_sap_bank AS
SELECT b.*, pg_temp.hk('1000|' || b.fiscal_year || '|' || b.sap_no) AS document_hk
FROM (
    SELECT d::date AS day, (2000000000 + (d::date - date '2000-01-01'))::text AS sap_no, extract(year FROM d)::integer AS fiscal_year,
           d::date - date '2000-01-01' AS bank_id, round(0.01 * (100000 + pg_temp.pick(d::date - date '2000-01-01', 83, 9000000)), 2) AS amount
    FROM gen AS g CROSS JOIN generate_series(g.first_day::timestamp, g.last_day::timestamp, '1 day') AS d
) AS b;

INSERT INTO bookkeeper_vault.hub_business_partner
SELECT customer_hk, pg_temp.loaded(created, customer_id, 1, false), 'sap.fi', customer_no FROM gen_customer
UNION ALL
SELECT pg_temp.hk('S' || lpad(i::text, 8, '0')), pg_temp.loaded(g.first_day - 1, i, 1, false), 'sap.fi', 'S' || lpad(i::text, 8, '0')
FROM gen AS g CROSS JOIN generate_series(1, 2) AS i;

INSERT INTO bookkeeper_vault.hub_document
SELECT document_hk, pg_temp.loaded(load_day, document_id, 1, false), 'sap.fi', '1000', fiscal_year, sap_no FROM gen_sap
UNION ALL
SELECT document_hk, pg_temp.loaded(day, manual_id, 1, false), 'sap.fi', '1000', fiscal_year, sap_no FROM gen_sap_manual
UNION ALL
SELECT document_hk, pg_temp.loaded(day, bank_id, 1, false), 'sap.fi', '1000', fiscal_year, sap_no FROM gen_sap_bank;

INSERT INTO bookkeeper_vault.link_document_partner
SELECT decode(md5(document_hk || partner_hk), 'hex'), document_hk, partner_hk, load_dts, 'sap.fi'
FROM (
    SELECT document_hk, partner_hk, pg_temp.loaded(load_day, document_id, 1, false) AS load_dts FROM gen_sap
    UNION ALL
    SELECT document_hk, partner_hk, pg_temp.loaded(day, manual_id, 1, false) FROM gen_sap_manual
    UNION ALL
    SELECT document_hk, decode(repeat('00', 16), 'hex'), pg_temp.loaded(day, bank_id, 1, false) FROM gen_sap_bank
) AS d;

INSERT INTO bookkeeper_vault.sat_document
SELECT document_hk, load_dts, 'sap.fi',
       pg_temp.hk(concat_ws('|', document_type, document_date, posting_date, 'EUR', reference, header_text)),
       document_type, document_date, posting_date, 'EUR', reference, header_text
FROM (
    SELECT s.document_hk, pg_temp.loaded(v.load_day, s.document_id, v.version, false) AS load_dts, s.document_type, s.document_date,
           s.posting_date, s.reference,
           CASE WHEN v.version = 2 THEN 'Text geändert' WHEN pg_temp.pick(s.document_id, 84, 3) > 0 THEN 'Tripica, Lauf "täglich"' END AS header_text
    FROM gen AS g CROSS JOIN gen_sap AS s
    CROSS JOIN LATERAL (VALUES (1, s.load_day), (2, s.load_day + 1 + pg_temp.pick(s.document_id, 85, 20))) AS v (version, load_day)
    WHERE v.version = 1 OR (pg_temp.pick(s.document_id, 86, 20) = 0 AND v.load_day <= g.last_load)
    UNION ALL
    SELECT document_hk, pg_temp.loaded(day, manual_id, 1, false), 'DR', day, day, NULL, 'Manuell gebucht; siehe Akte' FROM gen_sap_manual
    UNION ALL
    SELECT document_hk, pg_temp.loaded(day, bank_id, 1, false), 'SA', day, day, 'Kontoauszug ' || day, NULL FROM gen_sap_bank
) AS d;

-- Customer lines. One yearly bill in eight is agreed to be paid in two parts: a second version of the set has two
-- lines.
INSERT INTO bookkeeper_vault.msat_document_line
SELECT document_hk, load_dts, line_no, 'sap.fi', pg_temp.hk(concat_ws('|', line_no, amount, due_date, line_text)), amount, due_date, line_text
FROM (
    SELECT s.document_hk, pg_temp.loaded(v.load_day, s.document_id, v.version, false) AS load_dts, l.line_no,
           CASE WHEN v.version = 1 THEN s.gross WHEN l.line_no = 1 THEN round(s.gross / 2, 2) ELSE s.gross - round(s.gross / 2, 2) END AS amount,
           CASE WHEN l.line_no = 2 THEN s.due + 30 ELSE s.due END AS due_date,
           CASE WHEN v.version = 2 THEN 'Rate ' || l.line_no || ' von 2' WHEN pg_temp.pick(s.document_id, 87, 4) = 0 THEN NULL
                ELSE 'Forderung' END AS line_text
    FROM gen AS g CROSS JOIN gen_sap_sum AS s
    CROSS JOIN LATERAL (VALUES (1, s.load_day), (2, s.load_day + 1 + pg_temp.pick(s.document_id, 88, 20))) AS v (version, load_day)
    CROSS JOIN LATERAL generate_series(1, v.version) AS l (line_no)
    WHERE v.version = 1 OR (s.document_type = 'DR' AND pg_temp.pick(s.document_id, 89, 40) = 0 AND v.load_day <= g.last_load)
    UNION ALL
    SELECT document_hk, pg_temp.loaded(day, manual_id, 1, false), 1, amount, day + 14, 'Mahnkosten, manuell' FROM gen_sap_manual
) AS d;

-- Journal: debit receivables, credit revenue and tax by rate; reversed if the amount is negative. The deviation of the
-- receivable is posted to an account for rounding differences, so that debit equals credit.
INSERT INTO bookkeeper_vault.msat_journal_line
SELECT document_hk, load_dts, line_no, 'sap.fi', pg_temp.hk(concat_ws('|', line_no, gl_account, debit_credit, amount, cost_center)),
       gl_account, debit_credit, amount, cost_center
FROM (
    SELECT j.document_hk, pg_temp.loaded(v.load_day, j.document_id, v.version, false) AS load_dts, j.line_no, j.gl_account,
           CASE WHEN j.debit >= 0 THEN 'S' ELSE 'H' END AS debit_credit, abs(j.debit) AS amount,
           CASE WHEN v.version = 2 AND j.line_no > 1 THEN 'KST-' || (100 + pg_temp.pick(j.document_id, 90, 9)) END AS cost_center
    FROM gen AS g CROSS JOIN (
        SELECT s.document_hk, s.document_id, s.load_day, 1 AS line_no, '140000' AS gl_account, s.gross AS debit FROM gen_sap_sum AS s
        UNION ALL
        SELECT s.document_hk, s.document_id, s.load_day, (r.n * 2)::integer, '4400' || lpad(r.tax_rate::text, 2, '0'), - r.net
        FROM gen_sap_sum AS s JOIN gen_sap_rate AS r USING (document_hk)
        UNION ALL
        SELECT s.document_hk, s.document_id, s.load_day, (r.n * 2 + 1)::integer, '3800' || lpad(r.tax_rate::text, 2, '0'), - r.tax
        FROM gen_sap_sum AS s JOIN gen_sap_rate AS r USING (document_hk) WHERE r.tax <> 0
        UNION ALL
        SELECT s.document_hk, s.document_id, s.load_day, s.rates * 2 + 2, '484000', - s.deviation FROM gen_sap_sum AS s WHERE s.deviation <> 0
    ) AS j
    CROSS JOIN LATERAL (VALUES (1, j.load_day), (2, j.load_day + 1 + pg_temp.pick(j.document_id, 91, 20))) AS v (version, load_day)
    WHERE v.version = 1 OR (pg_temp.pick(j.document_id, 92, 30) = 0 AND v.load_day <= g.last_load)
    UNION ALL
    SELECT m.document_hk, pg_temp.loaded(m.day, m.manual_id, 1, false), l.line_no, l.gl_account, l.debit_credit, m.amount, NULL
    FROM gen_sap_manual AS m CROSS JOIN (VALUES (1, '140000', 'S'), (2, '483000', 'H')) AS l (line_no, gl_account, debit_credit)
    UNION ALL
    SELECT b.document_hk, pg_temp.loaded(b.day, b.bank_id, 1, false), l.line_no, l.gl_account, l.debit_credit, b.amount, NULL
    FROM gen_sap_bank AS b CROSS JOIN (VALUES (1, '113100', 'S'), (2, '140900', 'H')) AS l (line_no, gl_account, debit_credit)
) AS d;

-- Tax lines: one for each contract of the document.
INSERT INTO bookkeeper_vault.msat_tax_line
SELECT document_hk, load_dts, line_no, 'sap.fi', pg_temp.hk(concat_ws('|', line_no, tax_rate, net_amount, tax_amount)),
       CASE tax_rate WHEN 19 THEN 'A1' WHEN 7 THEN 'A2' ELSE 'A0' END, tax_rate, net_amount, tax_amount
FROM (
    SELECT s.document_hk, pg_temp.loaded(s.load_day, s.document_id, 1, false) AS load_dts,
           (row_number() OVER (PARTITION BY s.document_hk ORDER BY p.contract_id))::integer AS line_no,
           p.tax_rate, p.net1 + p.net2 AS net_amount, p.tax1 + p.tax2 AS tax_amount
    FROM gen_sap AS s JOIN gen_position AS p USING (document_id)
    UNION ALL
    SELECT document_hk, pg_temp.loaded(day, manual_id, 1, false), 1, 0, amount, 0 FROM gen_sap_manual
) AS d;
