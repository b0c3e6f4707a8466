-- Customers, accounts, contracts. A handful of business customers hold every fifth contract, the first of them most of
-- those; about one customer in ten has no account, some have several.

CREATE TEMP TABLE gen AS
SELECT :'date'::date AS business_date,
       :'date'::date - :days AS first_day,
       -- The vaults contain loads after the business date, as they do when an older date is run again.
       :'date'::date + 2 AS last_day,
       :'date'::date + 3 AS last_load,
       greatest(20, (500 * :scale)::integer) AS customers,
       greatest(2, (2 * :scale)::integer) AS business_customers,
       greatest(24, (600 * :scale)::integer) AS contracts;
ALTER TABLE gen ADD COLUMN private_accounts integer, ADD COLUMN accounts integer;
UPDATE gen SET private_accounts = (customers - business_customers) * 9 / 10,
               accounts = (customers - business_customers) * 9 / 10 + business_customers * 8;

CREATE TEMP TABLE gen_customer AS
SELECT i AS customer_id,
       'K' || lpad(i::text, 8, '0') AS customer_no,
       pg_temp.hk('K' || lpad(i::text, 8, '0')) AS customer_hk,
       i <= g.business_customers AS is_business,
       -- Most customers are in the very first load, one in ten in a later one.
       CASE WHEN i > g.business_customers AND pg_temp.pick(i, 1, 10) = 0
            THEN g.first_day + pg_temp.pick(i, 2, :days) ELSE g.first_day - 1 END AS created
FROM gen AS g CROSS JOIN generate_series(1, g.customers) AS i;

CREATE TEMP TABLE gen_account AS
SELECT a.account_id, c.customer_id, c.customer_hk, c.is_business, c.created,
       'A' || lpad(a.account_id::text, 8, '0') AS account_no,
       pg_temp.hk('A' || lpad(a.account_id::text, 8, '0')) AS account_hk
FROM (
    SELECT i AS account_id,
           CASE WHEN i > g.private_accounts THEN 1 + (i - g.private_accounts - 1) / 8
                WHEN pg_temp.pick(i, 3, 10) < 8 THEN g.business_customers + i
                ELSE g.business_customers + 1 + pg_temp.pick(i, 4, g.customers - g.business_customers) END AS customer_id
    FROM gen AS g CROSS JOIN generate_series(1, g.accounts) AS i
) AS a
JOIN gen_customer AS c USING (customer_id);

CREATE TEMP TABLE gen_contract AS
SELECT k.contract_id, k.account_id, a.account_hk, a.is_business, a.created,
       'V' || lpad(k.contract_id::text, 9, '0') AS contract_no,
       pg_temp.hk('V' || lpad(k.contract_id::text, 9, '0')) AS contract_hk,
       (ARRAY['electricity', 'electricity', 'electricity', 'gas', 'gas', 'heat', 'water', 'wastewater'])[k.product] AS product,
       -- German VAT: energy 19 %, drinking water 7 %, wastewater of a public body none.
       (ARRAY[19, 19, 19, 19, 19, 19, 7, 0])[k.product] AS tax_rate,
       -- Cents a month: standing charge and consumption.
       (790 + pg_temp.pick(k.contract_id, 8, 1800)) * CASE WHEN a.is_business THEN 10 ELSE 1 END AS base_cents,
       (1900 + pg_temp.pick(k.contract_id, 9, 16000)) * CASE WHEN a.is_business THEN 25 ELSE 1 END AS energy_cents
FROM (
    SELECT i AS contract_id,
           CASE WHEN pg_temp.pick(i, 5, 5) = 0
                -- The cube of a number below 1 is mostly small: the first business accounts get most.
                THEN g.private_accounts + 1 + (pg_temp.pick(i, 6, 1000)::bigint ^ 3 / 1000000000
                                               * (g.accounts - g.private_accounts))::integer
                ELSE 1 + i % g.private_accounts END AS account_id,
           1 + pg_temp.pick(i, 7, 8) AS product
    FROM gen AS g CROSS JOIN generate_series(1, g.contracts) AS i
) AS k
JOIN gen_account AS a USING (account_id);

INSERT INTO datalake_vault.hub_customer
SELECT customer_hk, pg_temp.loaded(created, customer_id, 1, false), 'tripica.customers', customer_no FROM gen_customer;

INSERT INTO datalake_vault.sat_customer
SELECT customer_hk, pg_temp.loaded(day, customer_id, version, false), 'tripica.customers',
       pg_temp.hk(customer_name || '|' || segment || '|' || coalesce(city, '')), customer_name, segment, city
FROM (
    SELECT c.customer_hk, c.customer_id, v.version, v.day,
           CASE WHEN c.is_business
                THEN (ARRAY['Stadtwerke-Bäckerei "Zur Mühle" GmbH', 'Müller & Söhne KG', 'Großmarkt Süd, Inh. J. Weiß e.K.',
                            'Hotel »Schöne Aussicht« AG', 'Kälte-Klima Jäger GmbH & Co. KG', 'Möbelhaus O''Brien GmbH'])
                     [1 + pg_temp.pick(c.customer_id, 100, 6)] || ' ' || c.customer_id
                ELSE (ARRAY['Jörg', 'Anna-Lena', 'Şebnem', 'Björn', 'Zoë', 'Günther', 'Maria', 'Łukasz', 'Siân', 'Karl', 'Renée',
                            'Ümit'])[1 + pg_temp.pick(c.customer_id, 101, 12)] || ' '
                     || (ARRAY['Müller', 'O''Neill', 'Groß', 'von der Höhe', 'Øster', 'Yılmaz', 'Schmidt, geb. Weiß',
                               'Kaiser "Kai"', 'D''Angelo', 'Ångström', 'Lehmann'])
                        [1 + pg_temp.pick(c.customer_id, 102 + v.version, 11)] END AS customer_name,
           CASE WHEN c.is_business THEN 'business' ELSE 'private' END AS segment,
           (ARRAY['Köln', 'Görlitz', 'Weißenfels', 'Bad Tölz', 'Gießen', NULL, 'Münster', 'Frankfurt (Oder)'])
               [1 + pg_temp.pick(c.customer_id, 105 + v.version, 8)] AS city
    FROM gen AS g CROSS JOIN gen_customer AS c
    CROSS JOIN LATERAL (VALUES (1, c.created), (2, g.first_day + pg_temp.pick(c.customer_id, 110, :days + 4))) AS v (version, day)
    WHERE v.version = 1 OR (v.day > c.created AND pg_temp.pick(c.customer_id, 111, 5) = 0)
) AS s;

INSERT INTO datalake_vault.hub_account
SELECT account_hk, pg_temp.loaded(created, account_id, 1, false), 'tripica.accounts', account_no FROM gen_account;

INSERT INTO datalake_vault.link_account_customer
SELECT decode(md5(account_hk || customer_hk), 'hex'), account_hk, customer_hk,
       pg_temp.loaded(created, account_id, 1, false), 'tripica.accounts'
FROM gen_account;

INSERT INTO datalake_vault.sat_account
SELECT a.account_hk, pg_temp.loaded(v.day, a.account_id, v.version, false), 'tripica.accounts',
       pg_temp.hk('EUR|' || x.payment_method || '|' || x.status), 'EUR', x.payment_method, x.status
FROM gen AS g CROSS JOIN gen_account AS a
CROSS JOIN LATERAL (VALUES (1, a.created), (2, g.first_day + pg_temp.pick(a.account_id, 120, :days + 4))) AS v (version, day)
CROSS JOIN LATERAL (
    SELECT CASE WHEN pg_temp.pick(a.account_id, 121, 3) = 0 THEN 'transfer' ELSE 'direct_debit' END AS payment_method,
           CASE v.version WHEN 1 THEN 'active' ELSE 'closed' END AS status
) AS x
WHERE v.version = 1 OR (v.day > a.created AND pg_temp.pick(a.account_id, 122, 20) = 0);

INSERT INTO datalake_vault.hub_contract
SELECT contract_hk, pg_temp.loaded(created, contract_id, 1, false), 'tripica.contracts', contract_no FROM gen_contract;

INSERT INTO datalake_vault.link_contract_account
SELECT decode(md5(contract_hk || account_hk), 'hex'), contract_hk, account_hk,
       pg_temp.loaded(created, contract_id, 1, false), 'tripica.contracts'
FROM gen_contract;

INSERT INTO datalake_vault.sat_contract
SELECT k.contract_hk, pg_temp.loaded(v.day, k.contract_id, v.version, false), 'tripica.contracts',
       pg_temp.hk(k.product || '|' || k.created || '|' || coalesce(x.valid_to::text, '')), k.product, k.created, x.valid_to
FROM gen AS g CROSS JOIN gen_contract AS k
CROSS JOIN LATERAL (VALUES (1, k.created), (2, g.first_day + pg_temp.pick(k.contract_id, 130, :days + 4))) AS v (version, day)
CROSS JOIN LATERAL (SELECT CASE v.version WHEN 2 THEN v.day + 30 END AS valid_to) AS x
WHERE v.version = 1 OR (v.day > k.created AND pg_temp.pick(k.contract_id, 131, 20) = 0);
