-- Payments, write-offs and dunning, all of them answers to a billing document.

CREATE TEMP TABLE gen_debt AS
SELECT d.document_id, d.document_no, d.day, d.due, d.kind, d.cancelled, t.gross, t.account_hk,
       -- 0 to 79 paid in full, 80 to 85 in part, 86 to 88 twice, 89 to 99 not at all.
       pg_temp.pick(d.document_id, 40, 100) AS manner
FROM gen_document AS d
JOIN (
    SELECT document_id, account_hk, sum(net1 + net2 + tax1 + tax2) AS gross FROM gen_position GROUP BY document_id, account_hk
) AS t USING (document_id)
WHERE d.kind <> 1;

CREATE TEMP TABLE gen_payment AS
SELECT p.*,
       'Z' || lpad(p.payment_id::text, 16, '0') AS payment_no,
       pg_temp.hk('Z' || lpad(p.payment_id::text, 16, '0')) AS payment_hk,
       CASE WHEN pg_temp.pick(p.payment_id, 43, 50) = 0 THEN 1 + pg_temp.pick(p.payment_id, 44, 4) ELSE 0 END AS late
FROM (
    SELECT d.document_id * 2 + n - 1 AS payment_id, d.account_hk, d.document_no, n,
           d.due + pg_temp.pick(d.document_id, 41, 25) - 12 + (n - 1) * 3 AS value_date,
           CASE WHEN d.manner BETWEEN 80 AND 85 THEN round(d.gross / 2, 2) ELSE d.gross END AS amount,
           CASE WHEN d.gross < 0 THEN 'payout' WHEN pg_temp.pick(d.document_id, 42, 3) = 0 THEN 'transfer' ELSE 'direct_debit' END AS method
    FROM gen_debt AS d
    CROSS JOIN LATERAL generate_series(1, CASE WHEN d.manner BETWEEN 86 AND 88 AND d.gross > 0 THEN 2 ELSE 1 END) AS n
    WHERE CASE WHEN d.gross < 0 THEN d.manner < 60 ELSE d.manner < 89 END
) AS p
CROSS JOIN gen AS g
WHERE p.value_date <= g.last_day;
DELETE FROM gen_payment USING gen AS g WHERE value_date + late > g.last_load;

INSERT INTO datalake_vault.hub_payment
SELECT payment_hk, pg_temp.loaded(value_date + late, payment_id, 1, true), 'tripica.payments', payment_no FROM gen_payment;

INSERT INTO datalake_vault.link_payment_account
SELECT decode(md5(payment_hk || account_hk), 'hex'), payment_hk, account_hk,
       pg_temp.loaded(value_date + late, payment_id, 1, true), 'tripica.payments'
FROM gen_payment;

INSERT INTO datalake_vault.sat_payment
SELECT p.payment_hk, pg_temp.loaded(v.load_day, p.payment_id, v.version, true), 'tripica.payments',
       pg_temp.hk(concat_ws('|', p.value_date, p.amount, p.method, v.status, p.document_no)),
       p.value_date, 'EUR', p.amount, p.method, v.status,
       CASE WHEN pg_temp.pick(p.payment_id, 45, 8) > 0 THEN p.document_no END
FROM gen AS g CROSS JOIN gen_payment AS p
CROSS JOIN LATERAL (
    VALUES (1, p.value_date + p.late, 'received'),
           -- One direct debit in forty is returned by the bank.
           (2, p.value_date + p.late + 2 + pg_temp.pick(p.payment_id, 46, 6), 'returned')
) AS v (version, load_day, status)
WHERE (v.version = 1 OR (p.method = 'direct_debit' AND pg_temp.pick(p.payment_id, 47, 40) = 0)) AND v.load_day <= g.last_load;

CREATE TEMP TABLE gen_write_off AS
SELECT d.document_id AS write_off_id, d.account_hk, d.document_no, d.gross AS amount,
       'W' || lpad(d.document_id::text, 16, '0') AS write_off_no, pg_temp.hk('W' || lpad(d.document_id::text, 16, '0')) AS write_off_hk,
       d.day + 120 + pg_temp.pick(d.document_id, 51, 60) AS write_off_date
FROM gen AS g CROSS JOIN gen_debt AS d
WHERE d.manner >= 89 AND d.gross > 0 AND NOT (d.kind = 0 AND d.cancelled) AND pg_temp.pick(d.document_id, 50, 100) < 30
  AND d.day + 120 + pg_temp.pick(d.document_id, 51, 60) <= g.last_day;

INSERT INTO datalake_vault.hub_write_off
SELECT write_off_hk, pg_temp.loaded(write_off_date, write_off_id, 1, false), 'tripica.payments', write_off_no FROM gen_write_off;

INSERT INTO datalake_vault.link_write_off_account
SELECT decode(md5(write_off_hk || account_hk), 'hex'), write_off_hk, account_hk,
       pg_temp.loaded(write_off_date, write_off_id, 1, false), 'tripica.payments'
FROM gen_write_off;

INSERT INTO datalake_vault.sat_write_off
SELECT w.write_off_hk, pg_temp.loaded(v.load_day, w.write_off_id, v.version, false), 'tripica.payments',
       pg_temp.hk(concat_ws('|', w.write_off_date, w.amount, x.reason, v.status, w.document_no)),
       w.write_off_date, 'EUR', w.amount, x.reason, v.status, w.document_no
FROM gen AS g CROSS JOIN gen_write_off AS w
CROSS JOIN LATERAL (
    VALUES (1, w.write_off_date, 'booked'), (2, w.write_off_date + 5 + pg_temp.pick(w.write_off_id, 52, 20), 'reversed')
) AS v (version, load_day, status)
CROSS JOIN LATERAL (
    SELECT (ARRAY['insolvency', 'limitation', 'goodwill'])[1 + pg_temp.pick(w.write_off_id, 53, 3)] AS reason
) AS x
WHERE (v.version = 1 OR pg_temp.pick(w.write_off_id, 54, 10) = 0) AND v.load_day <= g.last_load;

-- Dunning: ten days after the due date a reminder, then the levels 2 and 3, each with its fee; four cases in ten are
-- closed at last.
CREATE TEMP TABLE gen_case AS
SELECT d.document_id AS case_id, d.account_hk, d.document_no, d.due,
       'M' || lpad(d.document_id::text, 16, '0') AS case_no, pg_temp.hk('M' || lpad(d.document_id::text, 16, '0')) AS dunning_case_hk,
       CASE WHEN d.manner < 89 THEN d.gross - round(d.gross / 2, 2) ELSE d.gross END AS amount_dunned
FROM gen AS g CROSS JOIN gen_debt AS d
WHERE d.manner >= 80 AND d.manner NOT BETWEEN 86 AND 88 AND d.gross > 0 AND NOT (d.kind = 0 AND d.cancelled)
  AND d.due + 10 <= g.last_day;

INSERT INTO dunning_vault.hub_dunning_case
SELECT dunning_case_hk, pg_temp.loaded(due + 10, case_id, 1, false), 'tripica.dunning', case_no FROM gen_case;

INSERT INTO dunning_vault.link_dunning_case_account
SELECT decode(md5(dunning_case_hk || account_hk), 'hex'), dunning_case_hk, account_hk,
       pg_temp.loaded(due + 10, case_id, 1, false), 'tripica.dunning'
FROM gen_case;

INSERT INTO dunning_vault.sat_dunning_case
SELECT c.dunning_case_hk, pg_temp.loaded(v.load_day, c.case_id, v.version, false), 'tripica.dunning',
       pg_temp.hk(concat_ws('|', c.document_no, v.status, v.dunning_level, v.level_date, c.amount_dunned, v.fee)),
       c.document_no, v.status, v.dunning_level, v.level_date, 'EUR', c.amount_dunned, v.fee
FROM gen AS g CROSS JOIN gen_case AS c
CROSS JOIN LATERAL (
    VALUES (1, c.due + 10, 'open', 1, c.due + 10, 0.00),
           (2, c.due + 24, 'open', 2, c.due + 24, 2.50),
           (3, c.due + 45, 'open', 3, c.due + 45, 7.50),
           (4, c.due + 60 + pg_temp.pick(c.case_id, 61, 30), 'closed', 3, c.due + 45, 7.50)
) AS v (version, load_day, status, dunning_level, level_date, fee)
WHERE v.load_day <= g.last_load AND v.level_date <= g.last_day
  AND v.version <= 1 + pg_temp.pick(c.case_id, 60, 5);

INSERT INTO dunning_vault.sat_dunning_block
SELECT c.dunning_case_hk, pg_temp.loaded(v.load_day, c.case_id, v.version, false), 'tripica.dunning',
       pg_temp.hk(concat_ws('|', x.block_reason, c.due + 12, v.blocked_until)), x.block_reason, c.due + 12, v.blocked_until
FROM gen AS g CROSS JOIN gen_case AS c
CROSS JOIN LATERAL (
    SELECT (ARRAY['Ratenplan', 'Einspruch „strittig“', 'Härtefall, sozial'])[1 + pg_temp.pick(c.case_id, 62, 3)] AS block_reason
) AS x
CROSS JOIN LATERAL (
    VALUES (1, c.due + 12, CASE WHEN pg_temp.pick(c.case_id, 63, 3) > 0 THEN c.due + 40 END), (2, c.due + 35, c.due + 70)
) AS v (version, load_day, blocked_until)
WHERE pg_temp.pick(c.case_id, 64, 12) = 0 AND (v.version = 1 OR pg_temp.pick(c.case_id, 65, 4) = 0) AND v.load_day <= g.last_load;
