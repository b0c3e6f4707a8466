-- Type 2 history of the account balances, `tripica.balances`.
--
-- The rows of this run hold from the business date up to the next date that was reported already, or for good when there
-- is none. So running an older date after a newer one gives what running them in order gives, and running a date again
-- changes only what that date says:
--   1. note that the date was reported;
--   2. cut the days from the business date up to the next reported one out of rows that say something else;
--   3. put this run's rows there;
--   4. join neighbours that say the same;
--   5. forget what ended BDA_HISTORY_DAYS or more before the newest reported date. Running a date anew that is older than that
--      changes nothing that is still kept.
-- The lock lets readers in and makes two dates wait for each other.
-- @segment tripica.balances_history
-- @reads   run
-- @writes  report_oibl.tripica_balances_history, report_oibl.history_dates
LOCK TABLE report_oibl.tripica_balances_history IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO report_oibl.history_dates AS d (history_table, client_id, environment, business_date, run_id)
VALUES ('tripica_balances_history', :'client_id', :'environment', :'business_date'::date, :'run_id')
ON CONFLICT (history_table, client_id, environment, business_date) DO UPDATE SET run_id = excluded.run_id;

WITH reported AS (
    SELECT account_no, decode(md5(ROW(customer_no, currency, charged, paid, written_off, open_amount, not_due, overdue,
                          overdue_0_30, overdue_31_60, overdue_61_90, overdue_over_90, credit, oldest_due_date)::text), 'hex') AS content_hash
    FROM :"work".data_balances
),
following AS (
    SELECT min(business_date) AS day
    FROM report_oibl.history_dates
    WHERE history_table = 'tripica_balances_history' AND client_id = :'client_id' AND environment = :'environment'
      AND business_date > :'business_date'::date
),
cut AS (
    DELETE FROM report_oibl.tripica_balances_history AS h
    WHERE h.client_id = :'client_id' AND h.environment = :'environment'
      AND h.valid_from <= :'business_date'::date AND coalesce(h.valid_to > :'business_date'::date, true)
      AND NOT EXISTS (SELECT FROM reported AS r WHERE r.account_no = h.account_no AND r.content_hash = h.content_hash)
    RETURNING h.*
)
INSERT INTO report_oibl.tripica_balances_history (client_id, environment, account_no, valid_from, valid_to, content_hash,
    customer_no, currency, charged, paid, written_off, open_amount, not_due, overdue, overdue_0_30, overdue_31_60,
    overdue_61_90, overdue_over_90, credit, oldest_due_date)
SELECT client_id, environment, account_no, p.valid_from, p.valid_to, content_hash,
       customer_no, currency, charged, paid, written_off, open_amount, not_due, overdue, overdue_0_30, overdue_31_60,
       overdue_61_90, overdue_over_90, credit, oldest_due_date
FROM cut
CROSS JOIN following AS f
CROSS JOIN LATERAL (
    VALUES (cut.valid_from, :'business_date'::date), (f.day, cut.valid_to)
) AS p (valid_from, valid_to)
WHERE p.valid_from < coalesce(p.valid_to, 'infinity');

INSERT INTO report_oibl.tripica_balances_history (client_id, environment, account_no, valid_from, valid_to, content_hash,
    customer_no, currency, charged, paid, written_off, open_amount, not_due, overdue, overdue_0_30, overdue_31_60,
    overdue_61_90, overdue_over_90, credit, oldest_due_date)
SELECT :'client_id', :'environment', r.account_no, :'business_date'::date, f.day,
       decode(md5(ROW(r.customer_no, r.currency, r.charged, r.paid, r.written_off, r.open_amount, r.not_due, r.overdue,
               r.overdue_0_30, r.overdue_31_60, r.overdue_61_90, r.overdue_over_90, r.credit, r.oldest_due_date)::text), 'hex'),
       r.customer_no, r.currency, r.charged, r.paid, r.written_off, r.open_amount, r.not_due, r.overdue, r.overdue_0_30,
       r.overdue_31_60, r.overdue_61_90, r.overdue_over_90, r.credit, r.oldest_due_date
FROM :"work".data_balances AS r
CROSS JOIN (
    SELECT min(business_date) AS day
    FROM report_oibl.history_dates
    WHERE history_table = 'tripica_balances_history' AND client_id = :'client_id' AND environment = :'environment'
      AND business_date > :'business_date'::date
) AS f
WHERE NOT EXISTS (
    SELECT
    FROM report_oibl.tripica_balances_history AS h
    WHERE h.client_id = :'client_id' AND h.environment = :'environment' AND h.account_no = r.account_no
      AND h.valid_from <= :'business_date'::date AND coalesce(h.valid_to > :'business_date'::date, true)
);

-- Neighbours that meet at the business date.
WITH later AS (
    DELETE FROM report_oibl.tripica_balances_history AS h
    USING report_oibl.tripica_balances_history AS e
    WHERE h.client_id = :'client_id' AND h.environment = :'environment' AND h.valid_from = :'business_date'::date
      AND e.client_id = h.client_id AND e.environment = h.environment AND e.account_no = h.account_no
      AND e.valid_to = h.valid_from AND e.content_hash = h.content_hash
    RETURNING h.account_no, h.valid_to
)
UPDATE report_oibl.tripica_balances_history AS e
SET valid_to = later.valid_to
FROM later
WHERE e.client_id = :'client_id' AND e.environment = :'environment' AND e.account_no = later.account_no
  AND e.valid_to = :'business_date'::date;

-- Neighbours that meet at the next reported date.
WITH following AS (
    SELECT min(business_date) AS day
    FROM report_oibl.history_dates
    WHERE history_table = 'tripica_balances_history' AND client_id = :'client_id' AND environment = :'environment'
      AND business_date > :'business_date'::date
),
later AS (
    DELETE FROM report_oibl.tripica_balances_history AS h
    USING report_oibl.tripica_balances_history AS e, following AS f
    WHERE h.client_id = :'client_id' AND h.environment = :'environment' AND h.valid_from = f.day
      AND e.client_id = h.client_id AND e.environment = h.environment AND e.account_no = h.account_no
      AND e.valid_to = h.valid_from AND e.content_hash = h.content_hash
    RETURNING h.account_no, h.valid_from, h.valid_to
)
UPDATE report_oibl.tripica_balances_history AS e
SET valid_to = later.valid_to
FROM later
WHERE e.client_id = :'client_id' AND e.environment = :'environment' AND e.account_no = later.account_no
  AND e.valid_to = later.valid_from;

-- What ended long ago. Dates stay noted: they say where the rows of an older date end.
DELETE FROM report_oibl.tripica_balances_history AS h
WHERE :'history_days'::integer > 0 AND h.client_id = :'client_id' AND h.environment = :'environment'
  AND h.valid_to <= (
      SELECT max(business_date)
      FROM report_oibl.history_dates
      WHERE history_table = 'tripica_balances_history' AND client_id = :'client_id' AND environment = :'environment'
  ) - :'history_days'::integer
