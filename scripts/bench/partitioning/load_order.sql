-- Puts the rows of the vaults in the order in which they were loaded.
SET maintenance_work_mem = '512MB';
SELECT format('CREATE INDEX in_load_order ON %1$s (load_dts); CLUSTER %1$s USING in_load_order; DROP INDEX %2$s.in_load_order',
              c.oid::regclass, c.relnamespace::regnamespace)
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'load_dts'
WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text IN ('datalake_vault', 'dunning_vault', 'bookkeeper_vault')
\gexec
