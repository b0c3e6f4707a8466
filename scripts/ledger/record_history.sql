-- Writes the rows that a run reported for its business date into a type 2 history, and returns the number of inserted
-- rows.
--
-- The run's rows are valid from the business date up to the next date that is already reported, or without an end if there
-- is none. So running an older date after a newer one gives the same history as running them in order, and running a date
-- again changes only the content of that date. The function
--   1. records that the date was reported;
--   2. cuts the days from the business date up to the next reported date out of rows with other content;
--   3. inserts this run's rows for these days;
--   4. joins adjacent rows with the same content, at the business date and at the next reported date;
--   5. deletes rows that ended p_history_days or more before the newest reported date; 0 keeps all rows. Running an even older
--      date again changes no remaining row. Reported dates are kept: they define where the rows of an older date end.
-- The lock admits readers and serializes the runs of two dates. It requires READ COMMITTED: the following statements must see
-- the rows that the other run has committed.
--
-- A history has client_id, environment, the key, valid_from, valid_to, content_hash, and then the columns of its
-- content, with the same names as in the source. The hash is computed from these columns, in the table's order.
--
-- New tables have no statistics, and a join with nested loops would take time quadratic in their rows. Without nested
-- loops each of these joins hashes or sorts, whatever row count the planner assumes. The cost of the only remaining
-- loop, over two values for each row, would start the JIT compiler, so that is off.
CREATE OR REPLACE FUNCTION bda.record_history(
    p_source regclass, p_history regclass, p_key text[], p_client_id text, p_environment text, p_business_date date,
    p_run_id text, p_history_days integer
) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off
AS $function$
DECLARE
    v_name    text := (SELECT relname FROM pg_class WHERE oid = p_history);
    v_key     text := (SELECT string_agg(format('%I', k.name), ', ' ORDER BY k.place)
                       FROM unnest(p_key) WITH ORDINALITY AS k (name, place));
    v_same    text := (SELECT string_agg(format('a.%1$I = b.%1$I', k.name), ' AND ' ORDER BY k.place)
                       FROM unnest(p_key) WITH ORDINALITY AS k (name, place));
    v_content text := (SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum)
                       FROM pg_attribute
                       WHERE attrelid = p_history AND attnum > 0 AND NOT attisdropped
                         AND attname <> ALL (p_key || ARRAY['client_id', 'environment', 'valid_from', 'valid_to', 'content_hash']));
    v_hash    text := format($$decode(md5(ROW(%s)::text), 'hex')$$, v_content);
    v_next    date;
    v_day     date;
    v_count   bigint;
    v_rows    bigint := 0;
BEGIN
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', p_history);

    INSERT INTO report_oibl.history_dates (history_table, client_id, environment, business_date, run_id)
    VALUES (v_name, p_client_id, p_environment, p_business_date, p_run_id)
    ON CONFLICT (history_table, client_id, environment, business_date) DO UPDATE SET run_id = excluded.run_id;

    SELECT min(business_date) INTO v_next
    FROM report_oibl.history_dates
    WHERE history_table = v_name AND client_id = p_client_id AND environment = p_environment
      AND business_date > p_business_date;

    EXECUTE format($$
        WITH reported AS (
            SELECT %3$s, %6$s AS content_hash FROM %2$s
        ),
        cut AS (
            DELETE FROM %1$s AS a
            WHERE client_id = $1 AND environment = $2 AND valid_from <= $3 AND coalesce(valid_to > $3, true)
              AND NOT EXISTS (SELECT FROM reported AS b WHERE %4$s AND a.content_hash = b.content_hash)
            RETURNING a.*
        )
        INSERT INTO %1$s (client_id, environment, %3$s, valid_from, valid_to, content_hash, %5$s)
        SELECT client_id, environment, %3$s, p.valid_from, p.valid_to, content_hash, %5$s
        FROM cut
        CROSS JOIN LATERAL (VALUES (cut.valid_from, $3), ($4, cut.valid_to)) AS p (valid_from, valid_to)
        WHERE p.valid_from < coalesce(p.valid_to, 'infinity')
        $$, p_history, p_source, v_key, v_same, v_content, v_hash)
    USING p_client_id, p_environment, p_business_date, v_next;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_rows := v_rows + v_count;

    EXECUTE format($$
        INSERT INTO %1$s (client_id, environment, %3$s, valid_from, valid_to, content_hash, %5$s)
        SELECT $1, $2, %3$s, $3, $4, %6$s, %5$s
        FROM %2$s AS a
        WHERE NOT EXISTS (
            SELECT FROM %1$s AS b
            WHERE b.client_id = $1 AND b.environment = $2 AND %4$s
              AND b.valid_from <= $3 AND coalesce(b.valid_to > $3, true))
        $$, p_history, p_source, v_key, v_same, v_content, v_hash)
    USING p_client_id, p_environment, p_business_date, v_next;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_rows := v_rows + v_count;

    FOREACH v_day IN ARRAY array_remove(ARRAY[p_business_date, v_next], NULL) LOOP
        EXECUTE format($$
            WITH later AS (
                DELETE FROM %1$s AS a
                USING %1$s AS b
                WHERE a.client_id = $1 AND a.environment = $2 AND a.valid_from = $3
                  AND b.client_id = $1 AND b.environment = $2 AND b.valid_to = $3
                  AND %3$s AND a.content_hash = b.content_hash
                RETURNING %4$s, a.valid_to
            )
            UPDATE %1$s AS a
            SET valid_to = b.valid_to
            FROM later AS b
            WHERE a.client_id = $1 AND a.environment = $2 AND a.valid_to = $3 AND %3$s
            $$, p_history, p_source, v_same,
            (SELECT string_agg(format('a.%I', k.name), ', ') FROM unnest(p_key) AS k (name)))
        USING p_client_id, p_environment, v_day;
    END LOOP;

    IF p_history_days > 0 THEN
        EXECUTE format($$
            DELETE FROM %1$s
            WHERE client_id = $1 AND environment = $2 AND valid_to <= (
                SELECT max(business_date) FROM report_oibl.history_dates
                WHERE history_table = $3 AND client_id = $1 AND environment = $2) - $4
            $$, p_history)
        USING p_client_id, p_environment, v_name, p_history_days;
    END IF;
    RETURN v_rows;
END
$function$;
COMMENT ON FUNCTION bda.record_history IS 'Writes a run''s rows into a type 2 history.';
