-- The three vaults of the sample warehouse: Data Vault 2.0, as Octopus has them.
--
-- Hubs hold business keys, links hold relations, satellites hold what changes over time. A hash key is the MD5 of the
-- business key (16 bytes). Rows are inserted only; `load_dts` is the time of the load. A satellite has one row per
-- version of its hub; a multi-active satellite (msat_) has one set of rows per version: the set of the newest
-- `load_dts` is valid as a whole. `hash_diff` is the MD5 of the attributes. The keys of an account or a customer are
-- the same in all three vaults, because the hash of the same business key is the same.

CREATE SCHEMA datalake_vault;
COMMENT ON SCHEMA datalake_vault IS 'sample warehouse: Tripica (billing)';
CREATE SCHEMA dunning_vault;
COMMENT ON SCHEMA dunning_vault IS 'sample warehouse: Tripica (dunning)';
CREATE SCHEMA bookkeeper_vault;
COMMENT ON SCHEMA bookkeeper_vault IS 'sample warehouse: Bookkeeper (SAP)';

-- A record of each load, written by the load itself: it inserted `row_count` rows into `satellite`, with load_dts from
-- `started_at` to `finished_at`. A load without `finished_at` is still running, or has failed.
CREATE TABLE datalake_vault.load_control (
    satellite     text NOT NULL,
    load_name     text NOT NULL,
    business_date date NOT NULL,
    record_source text NOT NULL,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz,
    row_count     bigint
);
CREATE TABLE dunning_vault.load_control (LIKE datalake_vault.load_control INCLUDING ALL);
CREATE TABLE bookkeeper_vault.load_control (LIKE datalake_vault.load_control INCLUDING ALL);

-- Tripica: customers have accounts, accounts have contracts, contracts have charges.

CREATE TABLE datalake_vault.hub_customer (
    customer_hk   bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    customer_no   text NOT NULL
);
CREATE TABLE datalake_vault.sat_customer (
    customer_hk   bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    hash_diff     bytea NOT NULL,
    customer_name text NOT NULL,
    segment       text NOT NULL,                 -- private, business
    city          text
);
CREATE TABLE datalake_vault.hub_account (
    account_hk    bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    account_no    text NOT NULL
);
CREATE TABLE datalake_vault.link_account_customer (
    account_customer_hk bytea NOT NULL,
    account_hk          bytea NOT NULL,
    customer_hk         bytea NOT NULL,
    load_dts            timestamptz NOT NULL,
    record_source       text NOT NULL
);
CREATE TABLE datalake_vault.sat_account (
    account_hk     bytea NOT NULL,
    load_dts       timestamptz NOT NULL,
    record_source  text NOT NULL,
    hash_diff      bytea NOT NULL,
    currency       char(3) NOT NULL,
    payment_method text NOT NULL,                -- direct_debit, transfer
    status         text NOT NULL                 -- active, closed
);
CREATE TABLE datalake_vault.hub_contract (
    contract_hk   bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    contract_no   text NOT NULL
);
CREATE TABLE datalake_vault.link_contract_account (
    contract_account_hk bytea NOT NULL,
    contract_hk         bytea NOT NULL,
    account_hk          bytea NOT NULL,
    load_dts            timestamptz NOT NULL,
    record_source       text NOT NULL
);
CREATE TABLE datalake_vault.sat_contract (
    contract_hk   bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    hash_diff     bytea NOT NULL,
    product       text NOT NULL,                 -- electricity, gas, heat, water, wastewater
    valid_from    date NOT NULL,
    valid_to      date
);

-- One item of a billing document. A cancellation (STORNO) is an item of its own with the amounts negated, and names the
-- item that it cancels; the corrected document is booked again under a new number.
CREATE TABLE datalake_vault.hub_charge (
    charge_hk     bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    charge_no     text NOT NULL
);
CREATE TABLE datalake_vault.link_charge (
    charge_account_hk bytea NOT NULL,
    charge_hk         bytea NOT NULL,
    contract_hk       bytea NOT NULL,
    account_hk        bytea NOT NULL,
    load_dts          timestamptz NOT NULL,
    record_source     text NOT NULL
);
CREATE TABLE datalake_vault.sat_charge (
    charge_hk         bytea NOT NULL,
    load_dts          timestamptz NOT NULL,
    record_source     text NOT NULL,
    hash_diff         bytea NOT NULL,
    document_no       text NOT NULL,
    charge_type       text NOT NULL,             -- ABSCHLAG, JAHRESRECHNUNG, GUTSCHRIFT, STORNO
    status            text NOT NULL,             -- booked, cancelled
    document_date     date NOT NULL,
    due_date          date NOT NULL,
    currency          char(3) NOT NULL,
    tax_rate          numeric(5,2) NOT NULL,     -- percent
    amount_net        numeric(14,2) NOT NULL,
    amount_tax        numeric(14,2) NOT NULL,
    amount_gross      numeric(14,2) NOT NULL,
    cancels_charge_no text,
    description       text
);

-- Money that came in (positive) or was paid out (negative).
CREATE TABLE datalake_vault.hub_payment (
    payment_hk    bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    payment_no    text NOT NULL
);
CREATE TABLE datalake_vault.link_payment_account (
    payment_account_hk bytea NOT NULL,
    payment_hk         bytea NOT NULL,
    account_hk         bytea NOT NULL,
    load_dts           timestamptz NOT NULL,
    record_source      text NOT NULL
);
CREATE TABLE datalake_vault.sat_payment (
    payment_hk    bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    hash_diff     bytea NOT NULL,
    value_date    date NOT NULL,
    currency      char(3) NOT NULL,
    amount        numeric(14,2) NOT NULL,
    method        text NOT NULL,                 -- direct_debit, transfer, payout
    status        text NOT NULL,                 -- received, returned
    reference     text
);
CREATE TABLE datalake_vault.hub_write_off (
    write_off_hk  bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    write_off_no  text NOT NULL
);
CREATE TABLE datalake_vault.link_write_off_account (
    write_off_account_hk bytea NOT NULL,
    write_off_hk         bytea NOT NULL,
    account_hk           bytea NOT NULL,
    load_dts             timestamptz NOT NULL,
    record_source        text NOT NULL
);
CREATE TABLE datalake_vault.sat_write_off (
    write_off_hk   bytea NOT NULL,
    load_dts       timestamptz NOT NULL,
    record_source  text NOT NULL,
    hash_diff      bytea NOT NULL,
    write_off_date date NOT NULL,
    currency       char(3) NOT NULL,
    amount         numeric(14,2) NOT NULL,
    reason         text NOT NULL,                -- insolvency, limitation, goodwill
    status         text NOT NULL,                -- booked, reversed
    document_no    text
);

-- Dunning: a case follows one unpaid billing document through the levels 1 to 3. A block stops it for a while.

CREATE TABLE dunning_vault.hub_dunning_case (
    dunning_case_hk bytea NOT NULL,
    load_dts        timestamptz NOT NULL,
    record_source   text NOT NULL,
    case_no         text NOT NULL
);
CREATE TABLE dunning_vault.link_dunning_case_account (
    dunning_case_account_hk bytea NOT NULL,
    dunning_case_hk         bytea NOT NULL,
    account_hk              bytea NOT NULL,
    load_dts                timestamptz NOT NULL,
    record_source           text NOT NULL
);
CREATE TABLE dunning_vault.sat_dunning_case (
    dunning_case_hk bytea NOT NULL,
    load_dts        timestamptz NOT NULL,
    record_source   text NOT NULL,
    hash_diff       bytea NOT NULL,
    document_no     text NOT NULL,
    status          text NOT NULL,               -- open, closed
    dunning_level   integer NOT NULL,            -- 1 reminder, 2 first warning, 3 last warning
    level_date      date NOT NULL,
    currency        char(3) NOT NULL,
    amount_dunned   numeric(14,2) NOT NULL,
    fee             numeric(14,2) NOT NULL       -- all fees of the case so far
);
CREATE TABLE dunning_vault.sat_dunning_block (
    dunning_case_hk bytea NOT NULL,
    load_dts        timestamptz NOT NULL,
    record_source   text NOT NULL,
    hash_diff       bytea NOT NULL,
    block_reason    text NOT NULL,
    blocked_from    date NOT NULL,
    blocked_until   date                         -- the last day; NULL: until further notice
);

-- Bookkeeper: SAP documents. The customer line items, the journal lines and the tax lines of a document are loaded
-- together, so they are multi-active satellites of the document. A document without a customer, such as a bank
-- statement, is linked to the ghost partner, which has a hash key of sixteen zero bytes.

CREATE TABLE bookkeeper_vault.hub_business_partner (
    partner_hk    bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    partner_no    text NOT NULL                  -- Tripica's customer number
);
CREATE TABLE bookkeeper_vault.hub_document (
    document_hk   bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    company_code  text NOT NULL,
    fiscal_year   integer NOT NULL,
    document_no   text NOT NULL
);
CREATE TABLE bookkeeper_vault.link_document_partner (
    document_partner_hk bytea NOT NULL,
    document_hk         bytea NOT NULL,
    partner_hk          bytea NOT NULL,
    load_dts            timestamptz NOT NULL,
    record_source       text NOT NULL
);
CREATE TABLE bookkeeper_vault.sat_document (
    document_hk   bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    record_source text NOT NULL,
    hash_diff     bytea NOT NULL,
    document_type text NOT NULL,                 -- DR invoice, DG credit memo, AB reversal, SA general ledger
    document_date date NOT NULL,
    posting_date  date NOT NULL,
    currency      char(3) NOT NULL,
    reference     text,                          -- Tripica's document number
    header_text   text
);
CREATE TABLE bookkeeper_vault.msat_document_line (
    document_hk   bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    line_no       integer NOT NULL,
    record_source text NOT NULL,
    hash_diff     bytea NOT NULL,
    amount        numeric(14,2) NOT NULL,        -- positive: the customer owes it
    due_date      date NOT NULL,
    line_text     text
);
CREATE TABLE bookkeeper_vault.msat_journal_line (
    document_hk   bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    line_no       integer NOT NULL,
    record_source text NOT NULL,
    hash_diff     bytea NOT NULL,
    gl_account    text NOT NULL,
    debit_credit  char(1) NOT NULL,              -- S (Soll, debit), H (Haben, credit)
    amount        numeric(14,2) NOT NULL,        -- never negative
    cost_center   text
);
CREATE TABLE bookkeeper_vault.msat_tax_line (
    document_hk   bytea NOT NULL,
    load_dts      timestamptz NOT NULL,
    line_no       integer NOT NULL,
    record_source text NOT NULL,
    hash_diff     bytea NOT NULL,
    tax_code      text NOT NULL,                 -- A1 19 %, A2 7 %, A0 0 %
    tax_rate      numeric(5,2) NOT NULL,         -- percent
    net_amount    numeric(14,2) NOT NULL,
    tax_amount    numeric(14,2) NOT NULL
);
