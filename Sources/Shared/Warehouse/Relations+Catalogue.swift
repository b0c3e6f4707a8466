extension Relations {
    /// The catalogue's view of the functions in the schema `$1`, whose bodies are the scripts: relations and functions
    /// that they reach through views, inheritance and functions with a parsed body (BEGIN ATOMIC).
    ///
    /// pg_depend omits PostgreSQL's own objects, so functions are read from the stored query trees, which name each
    /// function by its oid.
    ///
    /// | what | name | detail | number | schema | relation |
    /// | --- | --- | --- | --- | --- | --- |
    /// | locked, read, unlockable | quoted | kind | estimated rows | schema | name |
    /// | volatile, stable, hidden, trusted | function | where it is called | number of arguments | language | name |
    /// | value | number of SQLValueFunctionOp | where | | | |
    static let catalogueQuery = """
        WITH RECURSIVE reached (script, class, oid, is_named) AS (
            SELECT p.proname, 'pg_catalog.pg_proc'::pg_catalog.regclass::oid, p.oid, false
            FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = $1::pg_catalog.regnamespace
            UNION
            SELECT r.script, e.class, e.oid,
                   r.class = 'pg_catalog.pg_proc'::pg_catalog.regclass
                   OR r.oid = ANY (ARRAY(SELECT w.oid FROM pg_catalog.pg_class AS w WHERE w.relnamespace = $1::pg_catalog.regnamespace))
            FROM reached AS r
            CROSS JOIN LATERAL (
                SELECT d.refclassid AS class, d.refobjid AS oid
                FROM pg_catalog.pg_depend AS d
                WHERE d.classid = r.class AND d.objid = r.oid AND r.class = 'pg_catalog.pg_proc'::pg_catalog.regclass
                UNION ALL
                SELECT d.refclassid, d.refobjid
                FROM pg_catalog.pg_class AS c
                JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = c.oid AND w.ev_type = '1'
                JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
                WHERE r.class = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = r.oid AND c.relkind = 'v'
                UNION ALL
                SELECT r.class, i.inhrelid FROM pg_catalog.pg_inherits AS i
                WHERE r.class = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.inhparent = r.oid
            ) AS e
            LEFT JOIN pg_catalog.pg_class AS c ON e.class = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = e.oid
            LEFT JOIN pg_catalog.pg_proc AS p ON e.class = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = e.oid
            WHERE (c.oid IS NOT NULL OR p.oid IS NOT NULL)
              AND coalesce(c.relnamespace, p.pronamespace) <> ALL (
                  ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace AS n
                        WHERE n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast', 'bda', 'report_oibl')))
        ),
        relation AS (
            SELECT r.script, c.oid, n.nspname, c.relname, c.relkind, pg_catalog.bool_or(r.is_named) AS is_named,
                   CASE WHEN c.relkind <> 'r' THEN 0 WHEN c.reltuples > 0 THEN c.reltuples::float8
                        ELSE pg_catalog.pg_relation_size(c.oid) / 100 END AS rows
            FROM reached AS r
            JOIN pg_catalog.pg_class AS c ON c.oid = r.oid AND r.class = 'pg_catalog.pg_class'::pg_catalog.regclass
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            GROUP BY r.script, c.oid, n.nspname, c.relname, c.relkind, c.reltuples
        ),
        -- The stored query of each script, view and function with a parsed body, with what it is.
        tree AS (
            SELECT r.script, CASE WHEN p.pronamespace = $1::pg_catalog.regnamespace THEN ''
                                  ELSE 'the function ' || r.oid::pg_catalog.regprocedure::text END AS place,
                   pg_catalog.concat(p.prosqlbody::text, p.proargdefaults::text) AS text
            FROM reached AS r JOIN pg_catalog.pg_proc AS p ON p.oid = r.oid AND r.class = 'pg_catalog.pg_proc'::pg_catalog.regclass
            UNION
            SELECT r.script, 'the view ' || r.oid::pg_catalog.regclass::text, w.ev_action::text
            FROM relation AS r JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = r.oid AND w.ev_type = '1'
            WHERE r.relkind = 'v'
            UNION
            SELECT r.script, 'a default of the table ' || r.relname, d.adbin::text
            FROM relation AS r
            JOIN pg_catalog.pg_class AS c ON c.oid = r.oid AND NOT c.relispartition
            JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = r.oid
            WHERE c.relnamespace = $1::pg_catalog.regnamespace
        ),
        called AS (
            SELECT DISTINCT t.script, t.place, m.match[1]::oid AS oid
            FROM tree AS t
            CROSS JOIN LATERAL pg_catalog.regexp_matches(
                t.text, ':(?:funcid|opfuncid|aggfnoid|winfnoid|tsmhandler) ([1-9][0-9]*)', 'g') AS m (match)
        ),
        -- CURRENT_DATE and its like are no functions: enum SQLValueFunctionOp.
        value AS (
            SELECT DISTINCT t.script, t.place, m.match[1]::integer AS op
            FROM tree AS t
            CROSS JOIN LATERAL pg_catalog.regexp_matches(t.text, '\\{SQLVALUEFUNCTION :op ([0-9]+)', 'g') AS m (match)
        )
        SELECT script,
               CASE WHEN relkind NOT IN ('r', 'p', 'v') THEN 'unlockable' WHEN is_named THEN 'locked' ELSE 'read' END AS what,
               pg_catalog.format('%I.%I', nspname, relname) AS name,
               CASE relkind WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence'
                            ELSE 'relation of kind ' || relkind::text END AS detail,
               rows AS number, nspname AS schema, relname AS relation
        FROM relation
        WHERE oid <> ALL (ARRAY(SELECT w.oid FROM pg_catalog.pg_class AS w WHERE w.relnamespace = $1::pg_catalog.regnamespace))
        UNION ALL
        SELECT c.script,
               CASE WHEN p.provolatile = 'v' THEN 'volatile'
                    WHEN n.nspname IN ('pg_catalog', 'information_schema') THEN 'stable'
                    WHEN p.provolatile = 's' THEN 'hidden'
                    ELSE 'trusted' END,
               CASE WHEN n.nspname = 'pg_catalog' THEN p.proname || '()' ELSE c.oid::pg_catalog.regprocedure::text END,
               c.place, p.pronargs, l.lanname, p.proname
        FROM called AS c
        JOIN pg_catalog.pg_proc AS p ON p.oid = c.oid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE n.nspname <> 'bda'
          AND CASE WHEN n.nspname IN ('pg_catalog', 'information_schema') OR p.provolatile = 'v' THEN p.provolatile <> 'i'
                   WHEN p.provolatile = 's' THEN p.prosqlbody IS NULL
                   ELSE p.prosqlbody IS NULL AND l.lanname NOT IN ('internal', 'c') END
        UNION ALL
        SELECT script, 'value', op::text, place, 0, '', '' FROM value
        UNION ALL
        SELECT script, 'volatile', 'TABLESAMPLE', place, 0, '', '' FROM tree WHERE text LIKE '%{TABLESAMPLECLAUSE%'
        ORDER BY 1, 2, 3, 4
        """
}
