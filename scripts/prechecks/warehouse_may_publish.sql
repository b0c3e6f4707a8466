-- The role may create objects in report_oibl, where views and histories are published. Without this check the run would
-- fail only at its end.
-- @segment  warehouse.may_publish
-- @reads    vault
-- @severity error
-- @hint     As the schema's owner: GRANT USAGE, CREATE ON SCHEMA report_oibl TO the role; or ALTER SCHEMA report_oibl OWNER TO it.
SELECT s.name AS schema, current_user AS role, p.privilege AS missing_privilege
FROM (SELECT nspname AS name, oid FROM pg_catalog.pg_namespace WHERE nspname = 'report_oibl') AS s
CROSS JOIN (VALUES ('USAGE'), ('CREATE')) AS p (privilege)
WHERE NOT has_schema_privilege(s.oid, p.privilege)
ORDER BY p.privilege
