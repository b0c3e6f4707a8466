-- Keys and indexes of a typical vault, the records of the loads, statistics, rights.

ALTER TABLE datalake_vault.hub_customer ADD PRIMARY KEY (customer_hk);
ALTER TABLE datalake_vault.sat_customer ADD PRIMARY KEY (customer_hk, load_dts);
ALTER TABLE datalake_vault.hub_account ADD PRIMARY KEY (account_hk);
ALTER TABLE datalake_vault.link_account_customer ADD PRIMARY KEY (account_customer_hk);
ALTER TABLE datalake_vault.sat_account ADD PRIMARY KEY (account_hk, load_dts);
ALTER TABLE datalake_vault.hub_contract ADD PRIMARY KEY (contract_hk);
ALTER TABLE datalake_vault.link_contract_account ADD PRIMARY KEY (contract_account_hk);
ALTER TABLE datalake_vault.sat_contract ADD PRIMARY KEY (contract_hk, load_dts);
ALTER TABLE datalake_vault.hub_charge ADD PRIMARY KEY (charge_hk);
ALTER TABLE datalake_vault.link_charge ADD PRIMARY KEY (charge_account_hk);
ALTER TABLE datalake_vault.sat_charge ADD PRIMARY KEY (charge_hk, load_dts);
ALTER TABLE datalake_vault.hub_payment ADD PRIMARY KEY (payment_hk);
ALTER TABLE datalake_vault.link_payment_account ADD PRIMARY KEY (payment_account_hk);
ALTER TABLE datalake_vault.sat_payment ADD PRIMARY KEY (payment_hk, load_dts);
ALTER TABLE datalake_vault.hub_write_off ADD PRIMARY KEY (write_off_hk);
ALTER TABLE datalake_vault.link_write_off_account ADD PRIMARY KEY (write_off_account_hk);
ALTER TABLE datalake_vault.sat_write_off ADD PRIMARY KEY (write_off_hk, load_dts);
ALTER TABLE dunning_vault.hub_dunning_case ADD PRIMARY KEY (dunning_case_hk);
ALTER TABLE dunning_vault.link_dunning_case_account ADD PRIMARY KEY (dunning_case_account_hk);
ALTER TABLE dunning_vault.sat_dunning_case ADD PRIMARY KEY (dunning_case_hk, load_dts);
ALTER TABLE dunning_vault.sat_dunning_block ADD PRIMARY KEY (dunning_case_hk, load_dts);
ALTER TABLE bookkeeper_vault.hub_business_partner ADD PRIMARY KEY (partner_hk);
ALTER TABLE bookkeeper_vault.hub_document ADD PRIMARY KEY (document_hk);
ALTER TABLE bookkeeper_vault.link_document_partner ADD PRIMARY KEY (document_partner_hk);
ALTER TABLE bookkeeper_vault.sat_document ADD PRIMARY KEY (document_hk, load_dts);
ALTER TABLE bookkeeper_vault.msat_document_line ADD PRIMARY KEY (document_hk, load_dts, line_no);
ALTER TABLE bookkeeper_vault.msat_journal_line ADD PRIMARY KEY (document_hk, load_dts, line_no);
ALTER TABLE bookkeeper_vault.msat_tax_line ADD PRIMARY KEY (document_hk, load_dts, line_no);

-- Links are read from both ends.
CREATE INDEX ON datalake_vault.link_account_customer (account_hk);
CREATE INDEX ON datalake_vault.link_account_customer (customer_hk);
CREATE INDEX ON datalake_vault.link_contract_account (contract_hk);
CREATE INDEX ON datalake_vault.link_contract_account (account_hk);
CREATE INDEX ON datalake_vault.link_charge (charge_hk);
CREATE INDEX ON datalake_vault.link_charge (account_hk);
CREATE INDEX ON datalake_vault.link_payment_account (payment_hk);
CREATE INDEX ON datalake_vault.link_payment_account (account_hk);
CREATE INDEX ON datalake_vault.link_write_off_account (write_off_hk);
CREATE INDEX ON datalake_vault.link_write_off_account (account_hk);
CREATE INDEX ON dunning_vault.link_dunning_case_account (dunning_case_hk);
CREATE INDEX ON dunning_vault.link_dunning_case_account (account_hk);
CREATE INDEX ON bookkeeper_vault.link_document_partner (document_hk);
CREATE INDEX ON bookkeeper_vault.link_document_partner (partner_hk);

-- One row for each satellite and night, also for empty loads; and one for each load of 04:50.
SELECT format($sql$
    INSERT INTO %1$s.load_control
    SELECT %3$L, l.load_name, d.day, %4$L,
           (d.day + 1 + CASE l.load_name WHEN 'nightly' THEN time '00:45' ELSE time '04:50' END) AT TIME ZONE 'Europe/Berlin',
           (d.day + 1 + CASE l.load_name WHEN 'nightly' THEN time '03:45' ELSE time '05:20:01' END) AT TIME ZONE 'Europe/Berlin',
           coalesce(s.row_count, 0)
    FROM gen AS g
    CROSS JOIN LATERAL (
        SELECT day::date AS day FROM generate_series((g.first_day - 1)::timestamp, g.last_load::timestamp, '1 day') AS day
    ) AS d
    CROSS JOIN (VALUES ('nightly'), ('intraday')) AS l (load_name)
    LEFT JOIN (
        SELECT load_day, load_name, count(*) AS row_count
        FROM (
            SELECT (load_dts AT TIME ZONE 'Europe/Berlin')::date - 1 AS load_day,
                   CASE WHEN (load_dts AT TIME ZONE 'Europe/Berlin')::time < '04:00' THEN 'nightly' ELSE 'intraday' END AS load_name
            FROM %1$s.%2$I
        ) AS r
        GROUP BY load_day, load_name
    ) AS s ON s.load_day = d.day AND s.load_name = l.load_name
    WHERE l.load_name = 'nightly' OR s.row_count IS NOT NULL
$sql$, v.vault, v.satellite, v.satellite, v.record_source)
FROM (VALUES
    ('datalake_vault', 'sat_customer', 'tripica.customers'), ('datalake_vault', 'sat_account', 'tripica.accounts'),
    ('datalake_vault', 'sat_contract', 'tripica.contracts'), ('datalake_vault', 'sat_charge', 'tripica.billing'),
    ('datalake_vault', 'sat_payment', 'tripica.payments'), ('datalake_vault', 'sat_write_off', 'tripica.payments'),
    ('dunning_vault', 'sat_dunning_case', 'tripica.dunning'), ('dunning_vault', 'sat_dunning_block', 'tripica.dunning'),
    ('bookkeeper_vault', 'sat_document', 'sap.fi'), ('bookkeeper_vault', 'msat_document_line', 'sap.fi'),
    ('bookkeeper_vault', 'msat_journal_line', 'sap.fi'), ('bookkeeper_vault', 'msat_tax_line', 'sap.fi')
) AS v (vault, satellite, record_source)
\gexec

ALTER TABLE datalake_vault.load_control ADD PRIMARY KEY (satellite, business_date, load_name);
ALTER TABLE dunning_vault.load_control ADD PRIMARY KEY (satellite, business_date, load_name);
ALTER TABLE bookkeeper_vault.load_control ADD PRIMARY KEY (satellite, business_date, load_name);

-- Rights for the role of deploy/postgres/role.sql, if it exists.
SELECT format('GRANT USAGE ON SCHEMA %1$I TO billing_aggregator; GRANT SELECT ON ALL TABLES IN SCHEMA %1$I TO billing_aggregator', vault)
FROM unnest(ARRAY['datalake_vault', 'dunning_vault', 'bookkeeper_vault']) AS vault
WHERE EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'billing_aggregator')
\gexec

ANALYZE datalake_vault.hub_customer, datalake_vault.hub_account, datalake_vault.hub_contract, datalake_vault.hub_charge,
    datalake_vault.hub_payment, datalake_vault.hub_write_off, datalake_vault.sat_customer, datalake_vault.sat_account,
    datalake_vault.sat_contract, datalake_vault.sat_charge, datalake_vault.sat_payment, datalake_vault.sat_write_off,
    datalake_vault.link_account_customer, datalake_vault.link_contract_account, datalake_vault.link_charge,
    datalake_vault.link_payment_account, datalake_vault.link_write_off_account, datalake_vault.load_control,
    dunning_vault.hub_dunning_case, dunning_vault.link_dunning_case_account, dunning_vault.sat_dunning_case,
    dunning_vault.sat_dunning_block, dunning_vault.load_control, bookkeeper_vault.hub_business_partner,
    bookkeeper_vault.hub_document, bookkeeper_vault.link_document_partner, bookkeeper_vault.sat_document,
    bookkeeper_vault.msat_document_line, bookkeeper_vault.msat_journal_line, bookkeeper_vault.msat_tax_line,
    bookkeeper_vault.load_control;
