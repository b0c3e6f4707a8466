-- Customers of one bucket. A customer's bucket is a function of its hash key, and all rows of a customer are in its
-- bucket, in every segment.
-- @segment tripica.base_customers
-- @reads   vault
-- @writes  base_data_customers
INSERT INTO :"work".base_data_customers (partition_no, customer_no, customer_name, segment)
SELECT :'partition'::integer, c.customer_no, s.customer_name, s.segment
FROM datalake_vault.hub_customer AS c
CROSS JOIN LATERAL (
    -- As of the cut-off: the newest version that was loaded by then.
    SELECT v.customer_name, v.segment
    FROM datalake_vault.sat_customer AS v
    WHERE v.customer_hk = c.customer_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS s
WHERE bda.bucket(c.customer_hk, :'partition_count'::integer) = :'partition'::integer AND c.load_dts <= :'cutoff'::timestamptz
