-- Creates the database role of coordinator and workers, with the minimum rights that they need.
--
--     psql --dbname=octopus --set=role=billing_aggregator --file=deploy/postgres/role.sql
--
-- Run this file as a superuser, or as a role that owns the database and the vaults and has CREATEROLE. It can be
-- repeated at any time, and must be repeated after a vault table gets a new owner. It sets no password; `\password
-- billing_aggregator` sets one without writing it to a file.
--
-- The rights of the role:
--     CONNECT on the database             to log in
--     CREATE  on the database             to create the schemas that it owns: bda (the ledger), bda_run_... (a run's tables),
--                                         report_oibl (the views on the newest run)
--     USAGE and SELECT on the vaults      to read them, and to take the ACCESS SHARE locks of a snapshot; tables that
--                                         their present owners add later are included
-- The role owns the schemas that it creates, so it needs no further right on them. If report_oibl already exists, change its owner
-- with `ALTER SCHEMA report_oibl OWNER TO billing_aggregator`, and move existing tables with the names of the views
-- (`bda-coordinator setup` lists them). The role can end only its own sessions, which suffices to take over an expired lease.
\set ON_ERROR_STOP on
\if :{?role}
\else
    \set role billing_aggregator
\endif

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', :'role')
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'role')
\gexec

BEGIN;

SELECT format('GRANT CONNECT, CREATE ON DATABASE %I TO %I', current_database(), :'role')
\gexec

-- If a vault is missing, GRANT fails with its name.
SELECT format('GRANT USAGE ON SCHEMA %1$I TO %2$I; GRANT SELECT ON ALL TABLES IN SCHEMA %1$I TO %2$I', vault, :'role')
FROM unnest(ARRAY['datalake_vault', 'dunning_vault', 'bookkeeper_vault']) AS vault
\gexec

-- Default privileges apply to the role that creates a table, so they are set for each role that owns a vault or a table
-- in it.
SELECT DISTINCT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON TABLES TO %I',
                       pg_get_userbyid(owner), nspname, :'role')
FROM pg_catalog.pg_namespace AS vault
CROSS JOIN LATERAL (
    SELECT nspowner AS owner
    UNION
    SELECT relowner FROM pg_catalog.pg_class WHERE relnamespace = vault.oid AND relkind IN ('r', 'p', 'v', 'm', 'f')
) AS owners
WHERE nspname IN ('datalake_vault', 'dunning_vault', 'bookkeeper_vault')
\gexec

COMMIT;
