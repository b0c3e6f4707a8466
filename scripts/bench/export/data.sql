-- Creates the table of the export benchmark: :rows rows of about 155 bytes as CSV, in the order of their key.
CREATE SCHEMA bench_vault;
CREATE TABLE bench_vault.charge (
    charge_id    bigint PRIMARY KEY,
    customer_no  text NOT NULL,
    currency     text NOT NULL,
    amount_net   numeric(14,2) NOT NULL,
    amount_gross numeric(14,2) NOT NULL,
    tax_rate     numeric(5,2) NOT NULL,
    charge_type  text NOT NULL,
    booking_date date NOT NULL,
    due_date     date NOT NULL,
    description  text
);
INSERT INTO bench_vault.charge
SELECT n, 'C' || lpad((n % 250000)::text, 9, '0'), CASE WHEN n % 50 = 0 THEN 'CHF' ELSE 'EUR' END,
       (hashint8(n) % 1000000) / 100.0, (hashint8(n) % 1000000) / 100.0 * 1.19, 19,
       CASE n % 4 WHEN 0 THEN 'jahresrechnung' ELSE 'abschlag' END,
       DATE '2020-01-01' + (n % 2000)::integer, DATE '2020-01-15' + (n % 2000)::integer,
       CASE WHEN n % 10 = 0 THEN NULL ELSE 'Stromlieferung Zähler ' || md5(n::text) || ', "Haushalt"' END
FROM generate_series(1, :rows) AS n;
GRANT USAGE ON SCHEMA bench_vault TO billing_aggregator;
GRANT SELECT ON bench_vault.charge TO billing_aggregator;
VACUUM (ANALYZE, FREEZE) bench_vault.charge;
