-- The average duration in seconds of a segment's jobs in the three newest runs, by partition; the longest jobs run
-- first.
CREATE OR REPLACE FUNCTION bda.expected_seconds(p_client_id text, p_environment text, p_segment text)
RETURNS TABLE (partition_no integer, partition_count integer, seconds double precision)
LANGUAGE sql STABLE AS $$
    SELECT j.partition_no, r.partition_count, pg_catalog.avg(d.duration_ms) / 1000.0
    FROM (SELECT r.run_id, r.partition_count FROM bda.run AS r
          WHERE r.client_id = p_client_id AND r.environment = p_environment AND r.published_at IS NOT NULL
          ORDER BY r.started_at DESC LIMIT 3) AS r
    JOIN bda.job AS j ON j.run_id = r.run_id AND j.segment = p_segment
    JOIN bda.result AS d ON d.job_id = j.job_id
    GROUP BY j.partition_no, r.partition_count
$$;
