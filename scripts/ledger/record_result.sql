-- Records the result of a job, as the last statement of the transaction that does the job's work. p_xid is the
-- transaction that the worker began: raises BDA01 if the script ended that transaction and began another one. A unique
-- violation of result_pkey, which is raised before any other, means that the job already has a result.
CREATE OR REPLACE FUNCTION bda.record_result(
    p_job_id text, p_attempt integer, p_worker_id text, p_xid xid8, p_rows bigint, p_bytes bigint, p_duration_ms bigint,
    p_parts jsonb, p_totals jsonb
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_xid <> pg_catalog.pg_current_xact_id() THEN
        RAISE EXCEPTION 'the script ended the transaction that it was run in' USING ERRCODE = 'BDA01';
    END IF;
    INSERT INTO bda.result (job_id, attempt, worker_id, rows, bytes, duration_ms)
    VALUES (p_job_id, p_attempt, p_worker_id, p_rows, p_bytes, p_duration_ms);
    INSERT INTO bda.part (job_id, part_no, key, rows, bytes, sha256)
    SELECT p_job_id, p.part_no, p.key, p.rows, p.bytes, p.sha256
    FROM pg_catalog.jsonb_to_recordset(p_parts)
         AS p (part_no integer, key text, rows bigint, bytes bigint, sha256 text);
    INSERT INTO bda.total (job_id, name, currency, amount)
    SELECT p_job_id, t.name, t.currency, t.amount
    FROM pg_catalog.jsonb_to_recordset(p_totals) AS t (name text, currency text, amount numeric);
END
$$;
