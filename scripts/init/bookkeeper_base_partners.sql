-- SAP's business partners of one bucket. The partner number is Tripica's customer number, so hash key and bucket are
-- those of the customer; a few partners exist in SAP only.
-- @segment bookkeeper.base_partners
-- @reads   vault
-- @writes  base_data_partners
INSERT INTO :"work".base_data_partners (partition_no, customer_no)
SELECT :'partition'::integer, p.partner_no
FROM bookkeeper_vault.hub_business_partner AS p
WHERE bda.bucket(p.partner_hk, :'partition_count'::integer) = :'partition'::integer AND p.load_dts <= :'cutoff'::timestamptz
