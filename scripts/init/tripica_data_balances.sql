-- Balance of each account of one bucket, with the ageing of its debt.
--
-- charged      all charges, cancellations and credit notes counted negative
-- paid         payments that were not returned, minus amounts paid out
-- written_off  write-offs that were not reversed
-- open_amount  charged - paid - written_off; negative if the customer has a credit
--
-- Open charges: a cancellation settles the charge that it cancels, due on that charge's date. All other amounts in the
-- customer's favour (credit notes, payments, write-offs) settle the charges in the order of their due dates, oldest
-- first. The open rest of a charge is overdue if its due date is not after the business date, and its age is the number
-- of days since. So open_amount = not_due + overdue - credit, and overdue is the sum of its ages. If more was paid out
-- than the customer had in its favour, the rest is owed back at once: it counts as due on the business date.
-- @segment tripica.data_balances
-- @needs   tripica.base_accounts, tripica.base_payments, tripica.data_charges, tripica.data_write_offs
-- @reads   run
-- @writes  data_balances
INSERT INTO :"work".data_balances (partition_no, business_date, account_no, customer_no, currency, charged, paid, written_off,
    open_amount, not_due, overdue, overdue_0_30, overdue_31_60, overdue_61_90, overdue_over_90, credit, oldest_due_date)
WITH cancellations AS (
    SELECT account_no, cancels_charge_no AS charge_no, sum(amount_gross) AS amount, min(due_date) AS due_date
    FROM :"work".data_charges
    WHERE partition_no = :'partition'::integer AND cancels_charge_no IS NOT NULL
    GROUP BY account_no, cancels_charge_no
),
items AS (
    SELECT account_no, coalesce(c.due_date, x.due_date) AS due_date, coalesce(c.amount_gross, 0) + coalesce(x.amount, 0) AS amount
    FROM (
        SELECT account_no, charge_no, due_date, amount_gross
        FROM :"work".data_charges
        WHERE partition_no = :'partition'::integer AND cancels_charge_no IS NULL
    ) AS c
    FULL JOIN cancellations AS x USING (account_no, charge_no)
),
due_dates AS (
    SELECT account_no, due_date, sum(amount) AS charged,
           coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS debt,
           coalesce(- sum(amount) FILTER (WHERE amount < 0), 0) AS favour
    FROM items
    GROUP BY account_no, due_date
),
paid AS (
    SELECT account_no, sum(amount) AS amount
    FROM :"work".base_data_payments
    WHERE partition_no = :'partition'::integer
    GROUP BY account_no
),
written_off AS (
    SELECT account_no, sum(amount) AS amount
    FROM :"work".data_write_offs
    WHERE partition_no = :'partition'::integer AND status = 'booked'
    GROUP BY account_no
),
sums AS (
    SELECT a.account_no, a.customer_no, a.currency, coalesce(d.charged, 0) AS charged, coalesce(d.debt, 0) AS debt,
           coalesce(p.amount, 0) AS paid, coalesce(w.amount, 0) AS written_off,
           coalesce(d.favour, 0) + coalesce(p.amount, 0) + coalesce(w.amount, 0) AS settled
    FROM :"work".base_data_accounts AS a
    LEFT JOIN (
        SELECT account_no, sum(charged) AS charged, sum(debt) AS debt, sum(favour) AS favour FROM due_dates GROUP BY account_no
    ) AS d USING (account_no)
    LEFT JOIN paid AS p USING (account_no)
    LEFT JOIN written_off AS w USING (account_no)
    WHERE a.partition_no = :'partition'::integer
),
open_dates AS (
    SELECT account_no, due_date, :'business_date'::date - due_date AS age,
           least(d.debt, sum(d.debt) OVER (PARTITION BY account_no ORDER BY d.due_date) - greatest(s.settled, 0)) AS amount
    FROM due_dates AS d
    JOIN sums AS s USING (account_no)
    WHERE d.debt > 0 AND s.debt > s.settled
),
ages AS (
    SELECT account_no, min(due_date) AS oldest_due_date,
           coalesce(sum(amount) FILTER (WHERE age < 0), 0) AS not_due,
           coalesce(sum(amount) FILTER (WHERE age BETWEEN 0 AND 30), 0) AS overdue_0_30,
           coalesce(sum(amount) FILTER (WHERE age BETWEEN 31 AND 60), 0) AS overdue_31_60,
           coalesce(sum(amount) FILTER (WHERE age BETWEEN 61 AND 90), 0) AS overdue_61_90,
           coalesce(sum(amount) FILTER (WHERE age > 90), 0) AS overdue_over_90
    FROM open_dates
    WHERE amount > 0
    GROUP BY account_no
)
SELECT :'partition'::integer, :'business_date'::date, s.account_no, s.customer_no, s.currency, s.charged, s.paid, s.written_off,
       s.charged - s.paid - s.written_off,
       coalesce(g.not_due, 0),
       coalesce(g.overdue_0_30 + g.overdue_31_60 + g.overdue_61_90 + g.overdue_over_90, 0) + owed_back,
       coalesce(g.overdue_0_30, 0) + owed_back,
       coalesce(g.overdue_31_60, 0), coalesce(g.overdue_61_90, 0), coalesce(g.overdue_over_90, 0),
       greatest(s.settled - s.debt, 0),
       CASE WHEN owed_back > 0 THEN least(g.oldest_due_date, :'business_date'::date) ELSE g.oldest_due_date END
FROM sums AS s
CROSS JOIN LATERAL (SELECT greatest(- s.settled, 0) AS owed_back) AS o
LEFT JOIN ages AS g USING (account_no)
