-- Billing documents and their items.
--
-- Each account gets a document every month: eleven times an instalment (ABSCHLAG), once the yearly bill
-- (JAHRESRECHNUNG), which is a credit note (GUTSCHRIFT) if too much was paid. It has two items for each contract. One
-- document in sixty is cancelled (kind 1) and booked again with another amount (kind 2). Some items are loaded days
-- late, have a corrected description or due date, or had a wrong amount at first.

CREATE TEMP TABLE gen_document AS
SELECT d.*, d.day + CASE WHEN d.charge_type = 'JAHRESRECHNUNG' THEN 30 ELSE 14 END AS due
FROM (
    SELECT k.document_id, a.account_id, m.month_no, m.month_text, k.kind, a.is_business, o.cancelled,
           'R' || lpad(a.account_id::text, 8, '0') || '-' || m.month_text || '-' || k.kind AS document_no,
           CASE k.kind WHEN 0 THEN o.day WHEN 1 THEN o.cancel_day ELSE o.cancel_day + pg_temp.pick(o.id, 13, 2) END AS day,
           CASE WHEN k.kind = 1 THEN 'STORNO' ELSE o.charge_type END AS charge_type, o.charge_type AS original_type,
           -- One item in thirty is loaded up to nine days late.
           CASE WHEN pg_temp.pick(k.document_id, 16, 30) = 0 THEN 1 + pg_temp.pick(k.document_id, 17, 9) ELSE 0 END AS late,
           -- The day of the load with the cancelled status of the document.
           CASE WHEN o.cancelled AND k.kind = 0
                THEN o.cancel_day + CASE WHEN pg_temp.pick(k.document_id + 1, 16, 30) = 0
                                         THEN 1 + pg_temp.pick(k.document_id + 1, 17, 9) ELSE 0 END END AS cancel_load
    FROM gen AS g
    CROSS JOIN (SELECT DISTINCT account_id, is_business, created FROM gen_contract) AS a
    CROSS JOIN LATERAL (
        SELECT extract(year FROM f)::integer * 12 + extract(month FROM f)::integer AS month_no, to_char(f, 'YYMM') AS month_text,
               f::date AS first_of_month
        FROM generate_series(date_trunc('month', g.first_day::timestamp), g.last_day::timestamp, '1 month') AS f
    ) AS m
    CROSS JOIN LATERAL (
        SELECT id, m.first_of_month + pg_temp.pick(a.account_id, 10, 28) AS day, pg_temp.pick(id, 11, 60) = 0 AS cancelled,
               m.first_of_month + pg_temp.pick(a.account_id, 10, 28) + 3 + pg_temp.pick(id, 12, 18) AS cancel_day,
               CASE WHEN (m.month_no + pg_temp.pick(a.account_id, 14, 12)) % 12 <> 0 THEN 'ABSCHLAG'
                    WHEN pg_temp.pick(id, 15, 100) < 35 THEN 'GUTSCHRIFT' ELSE 'JAHRESRECHNUNG' END AS charge_type
        FROM (SELECT (a.account_id::bigint * 40000 + m.month_no) * 3 AS id OFFSET 0) AS x
    ) AS o
    CROSS JOIN LATERAL (SELECT kind, o.id + kind AS document_id FROM generate_series(0, CASE WHEN o.cancelled THEN 2 ELSE 0 END) AS kind) AS k
    WHERE o.day BETWEEN g.first_day AND g.last_day AND o.day > a.created
) AS d
CROSS JOIN gen AS g
WHERE d.day <= g.last_day AND d.day + d.late <= g.last_load;

-- The two items of a contract in a document. The tax of both together is exact; the second item contains the rounding.
CREATE TEMP TABLE gen_position AS
SELECT d.document_id, d.account_id, d.kind, k.contract_id, k.contract_hk, k.account_hk, k.tax_rate,
       n.net1, n.net2, t.tax1, round((n.net1 + n.net2) * k.tax_rate / 100, 2) - t.tax1 AS tax2
FROM gen_document AS d
JOIN gen_contract AS k USING (account_id)
CROSS JOIN LATERAL (SELECT (k.contract_id::bigint * 40000 + d.month_no) * 3 AS id) AS i
CROSS JOIN LATERAL (
    SELECT CASE d.original_type WHEN 'GUTSCHRIFT' THEN - k.base_cents / 2 ELSE k.base_cents END AS cents1,
           CASE d.original_type WHEN 'ABSCHLAG' THEN k.energy_cents
                                WHEN 'GUTSCHRIFT' THEN - 500 - pg_temp.pick(i.id, 18, 20000)
                                ELSE 500 + pg_temp.pick(i.id, 18, 30000) END
           + CASE WHEN d.kind = 2 THEN 1 + pg_temp.pick(i.id, 19, 400) ELSE 0 END AS cents2
) AS c
CROSS JOIN LATERAL (
    SELECT round(c.cents1 * 0.01 * CASE d.kind WHEN 1 THEN -1 ELSE 1 END, 2) AS net1,
           round(c.cents2 * 0.01 * CASE d.kind WHEN 1 THEN -1 ELSE 1 END, 2) AS net2
) AS n
CROSS JOIN LATERAL (SELECT round(n.net1 * k.tax_rate / 100, 2) AS tax1) AS t;

CREATE TEMP TABLE gen_charge AS
SELECT i.charge_id, p.contract_hk, p.account_hk, d.document_no, d.charge_type, d.day, d.due, d.late, d.cancel_load,
       p.tax_rate::numeric(5,2) AS tax_rate, i.net, i.tax,
       'C' || lpad(p.contract_id::text, 9, '0') || '-' || d.month_text || '-' || i.item || d.kind AS charge_no,
       pg_temp.hk('C' || lpad(p.contract_id::text, 9, '0') || '-' || d.month_text || '-' || i.item || d.kind) AS charge_hk,
       CASE WHEN d.kind = 1 THEN 'C' || lpad(p.contract_id::text, 9, '0') || '-' || d.month_text || '-' || i.item || '0' END
           AS cancels_charge_no,
       -- The correction of the second version: 0 to 5 the description, 6 to 10 the due date, 11 the amount; others have
       -- none.
       pg_temp.pick(i.charge_id, 30, 100) AS correction,
       1 + pg_temp.pick(i.charge_id, 31, 25) AS correction_after
FROM gen_position AS p
JOIN gen_document AS d USING (document_id)
CROSS JOIN LATERAL (
    VALUES (1, p.net1, p.tax1, ((p.contract_id::bigint * 40000 + d.month_no) * 2) * 3 + d.kind),
           (2, p.net2, p.tax2, ((p.contract_id::bigint * 40000 + d.month_no) * 2 + 1) * 3 + d.kind)
) AS i (item, net, tax, charge_id);

INSERT INTO datalake_vault.hub_charge
SELECT charge_hk, pg_temp.loaded(day + late, charge_id, 1, true), 'tripica.billing', charge_no FROM gen_charge;

INSERT INTO datalake_vault.link_charge
SELECT decode(md5(charge_hk || contract_hk || account_hk), 'hex'), charge_hk, contract_hk, account_hk,
       pg_temp.loaded(day + late, charge_id, 1, true), 'tripica.billing'
FROM gen_charge;

INSERT INTO datalake_vault.sat_charge
SELECT s.charge_hk, pg_temp.loaded(s.load_day, s.charge_id, s.version, true), 'tripica.billing',
       pg_temp.hk(concat_ws('|', s.document_no, s.charge_type, s.status, s.day, s.due_date, s.net, s.tax, s.description)),
       s.document_no, s.charge_type, s.status, s.day, s.due_date, 'EUR', s.tax_rate, s.net, s.tax, s.net + s.tax,
       s.cancels_charge_no, s.description
FROM (
    SELECT c.charge_hk, c.charge_id, c.document_no, c.charge_type, c.day, c.tax_rate, c.cancels_charge_no, v.version, v.load_day,
           CASE WHEN v.load_day >= c.cancel_load THEN 'cancelled' ELSE 'booked' END AS status,
           CASE WHEN c.correction BETWEEN 6 AND 10 AND v.is_corrected THEN c.due + 7 + c.correction ELSE c.due END AS due_date,
           c.net + w.wrong AS net,
           CASE WHEN w.wrong = 0 THEN c.tax ELSE round((c.net + w.wrong) * c.tax_rate / 100, 2) END AS tax,
           CASE WHEN c.correction BETWEEN 0 AND 5 AND v.is_corrected THEN 'Korrigiert: ' || c.charge_no
                ELSE (ARRAY[NULL, NULL, 'Grundpreis', 'Arbeitspreis Strom, Januar', 'Ökostrom "Grün & Gut" 🌱',
                            E'Erste Zeile\nzweite Zeile', '', 'Größe: 5 m³, Zähler 4711', 'Kosten für Wärme – 20 °C', 'l''eau',
                            E'Tab\tund Rückstrich \\ und Ende', ' Leerzeichen am Rand '])
                     [1 + pg_temp.pick(c.charge_id, 33, 12)] END AS description
    FROM gen AS g CROSS JOIN gen_charge AS c
    CROSS JOIN LATERAL (
        SELECT 1 AS version, c.day + c.late AS load_day, false AS is_corrected
        UNION ALL
        SELECT 2, c.day + c.late + c.correction_after, true
        WHERE c.correction <= 11 AND c.day + c.late + c.correction_after IS DISTINCT FROM c.cancel_load
        UNION ALL
        SELECT 3, c.cancel_load, c.correction <= 11 AND c.day + c.late + c.correction_after <= c.cancel_load
        WHERE c.cancel_load > c.day + c.late
    ) AS v
    CROSS JOIN LATERAL (SELECT CASE WHEN c.correction = 11 AND NOT v.is_corrected THEN 1.00 ELSE 0 END AS wrong) AS w
    WHERE v.load_day <= g.last_load
) AS s;
