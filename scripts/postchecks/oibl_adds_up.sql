-- The sums of the open-item balance list equal those of the balances and bookings, and each difference is the sum of
-- its reasons.
-- @segment  oibl.adds_up
-- @reads    run
-- @severity error
-- @hint     A broken identity is an error in the SQL of oibl.customer_list: do not use any file of this run.
WITH list AS (
    SELECT coalesce(sum(charged), 0) AS charged, coalesce(sum(paid), 0) AS paid, coalesce(sum(written_off), 0) AS written_off,
           coalesce(sum(open_amount), 0) AS open_amount, coalesce(sum(overdue), 0) AS overdue, coalesce(sum(credit), 0) AS credit,
           coalesce(sum(booked), 0) AS booked, coalesce(sum(accounts), 0) AS accounts
    FROM :"work".oibl_customer
),
balances AS (
    SELECT coalesce(sum(charged), 0) AS charged, coalesce(sum(paid), 0) AS paid, coalesce(sum(written_off), 0) AS written_off,
           coalesce(sum(open_amount), 0) AS open_amount, coalesce(sum(overdue), 0) AS overdue, coalesce(sum(credit), 0) AS credit,
           count(*) AS accounts
    FROM :"work".data_balances
),
bookings AS (SELECT coalesce(sum(amount), 0) AS booked FROM :"work".data_bookings)
SELECT 'oibl.customer' AS dataset, i.identity, i.expected, i.found, i.found - i.expected AS difference
FROM list AS l
CROSS JOIN balances AS b
CROSS JOIN bookings AS k
CROSS JOIN LATERAL (
    VALUES ('charged = tripica.balances.charged', b.charged, l.charged), ('paid = tripica.balances.paid', b.paid, l.paid),
           ('written_off = tripica.balances.written_off', b.written_off, l.written_off),
           ('open_amount = tripica.balances.open_amount', b.open_amount, l.open_amount),
           ('overdue = tripica.balances.overdue', b.overdue, l.overdue), ('credit = tripica.balances.credit', b.credit, l.credit),
           ('accounts = rows of tripica.balances', b.accounts, l.accounts),
           ('booked = bookkeeper.bookings.amount', k.booked, l.booked)
) AS i (identity, expected, found)
WHERE i.expected <> i.found
UNION ALL
SELECT 'oibl.customer', i.identity || ', customer ' || c.customer_no, i.expected, i.found, i.found - i.expected
FROM :"work".oibl_customer AS c
CROSS JOIN LATERAL (
    VALUES ('difference = charged - booked', c.charged - c.booked, c.difference),
           ('difference = not_booked + booked_later + not_charged + amount_differs',
            c.not_booked + c.booked_later + c.not_charged + c.amount_differs, c.difference)
) AS i (identity, expected, found)
WHERE i.expected <> i.found
ORDER BY identity
