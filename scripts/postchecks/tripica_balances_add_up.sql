-- The amounts of each account's balance add up, and the sums of all balances equal those of the charges and write-offs.
-- @segment  tripica.balances_add_up
-- @reads    run
-- @severity error
-- @hint     A broken identity is an error in the SQL of tripica.data_balances: do not use any file of this run.
SELECT 'tripica.balances' AS dataset, identity, sum(expected) AS expected, sum(found) AS found, sum(found - expected) AS difference,
       count(*) AS rows
FROM (
    SELECT i.identity, i.expected, i.found
    FROM :"work".data_balances AS b
    CROSS JOIN LATERAL (
        VALUES ('open_amount = charged - paid - written_off', b.charged - b.paid - b.written_off, b.open_amount),
               ('open_amount = not_due + overdue - credit', b.not_due + b.overdue - b.credit, b.open_amount),
               ('overdue = sum of its ages', b.overdue_0_30 + b.overdue_31_60 + b.overdue_61_90 + b.overdue_over_90, b.overdue)
    ) AS i (identity, expected, found)
    WHERE i.expected <> i.found
    UNION ALL
    SELECT 'charged = tripica.charges.amount_gross', c.amount, b.amount
    FROM (SELECT coalesce(sum(amount_gross), 0) AS amount FROM :"work".data_charges) AS c
    CROSS JOIN (SELECT coalesce(sum(charged), 0) AS amount FROM :"work".data_balances) AS b
    WHERE c.amount <> b.amount
    UNION ALL
    SELECT 'paid = payments', p.amount, b.amount
    FROM (SELECT coalesce(sum(amount), 0) AS amount FROM :"work".base_data_payments) AS p
    CROSS JOIN (SELECT coalesce(sum(paid), 0) AS amount FROM :"work".data_balances) AS b
    WHERE p.amount <> b.amount
    UNION ALL
    SELECT 'written_off = tripica.write_offs.amount, booked ones', w.amount, b.amount
    FROM (SELECT coalesce(sum(amount) FILTER (WHERE status = 'booked'), 0) AS amount FROM :"work".data_write_offs) AS w
    CROSS JOIN (SELECT coalesce(sum(written_off), 0) AS amount FROM :"work".data_balances) AS b
    WHERE w.amount <> b.amount
) AS broken
GROUP BY identity
ORDER BY identity
