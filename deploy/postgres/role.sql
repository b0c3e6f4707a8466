-- The database role of coordinator and workers, with the rights they need and no others.
--
--     psql --dbname=octopus --set=role=billing_aggregator --file=deploy/postgres/role.sql
--
-- Run it as a superuser, or as the owner of the database who may also create roles and owns the vaults. It may run again
-- at any time, and should after a vault table got a new owner. It sets no password: `\password billing_aggregator` does,
-- without it being written down anywhere.
--
-- What the role gets, and for what:
--     CONNECT on the database             to log in
--     CREATE  on the database             to make the schemas that it owns: bda (the ledger), bda_run_... (a run's tables),
--                                         report_oibl (the views on the newest run)
--     USAGE and SELECT on the vaults      to read them, and to take the ACCESS SHARE locks of a snapshot; tables that
--                                         their present owners add later are included
-- It owns what it makes, so it needs no right on those schemas; where report_oibl is there already, make it the owner:
-- `ALTER SCHEMA report_oibl OWNER TO billing_aggregator`, and move a predecessor's tables whose names the views need
-- (`bda-coordinator setup` names them). It can end its own sessions only, which is all that taking over
-- an expired lease asks for.
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

-- A vault that is missing is named rather than left out in silence.
SELECT format('GRANT USAGE ON SCHEMA %1$I TO %2$I; GRANT SELECT ON ALL TABLES IN SCHEMA %1$I TO %2$I', vault, :'role')
FROM unnest(ARRAY['datalake_vault', 'dunning_vault', 'bookkeeper_vault']) AS vault
\gexec

-- Default rights belong to the role that makes a table, so they are set for each one that owns a vault or a table in it.
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
