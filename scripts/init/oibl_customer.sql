-- The open-item balance list of one bucket: one row for each customer of Tripica or SAP.
--
-- Balances are the sums of tripica.balances over the customer's accounts. Dunning counts open cases only; the highest level is 0
-- without an open case. `charged` (Tripica) and `booked` (SAP) are compared document by document: SAP's reference is Tripica's
-- document number. Each difference has one of these reasons with its amount, and difference = charged - booked is their sum:
--   not_booked      charged, and SAP does not have the document
--   booked_later    charged, and SAP has the document, but posts it after the business date
--   not_charged     booked, and Tripica has no such document up to the business date (counted negative)
--   amount_differs  in both, with different amounts
-- `difference_reason` is the reason that applies, `several` if there is more than one, and `none` if every document agrees.
-- @segment oibl.customer_list
-- @needs   tripica.base_customers, tripica.data_charges, tripica.data_balances, tripica.data_dunning, bookkeeper.base_partners, bookkeeper.data_bookings
-- @reads   run
-- @writes  oibl_customer
INSERT INTO :"work".oibl_customer (partition_no, business_date, customer_no, customer_name, segment, currency, accounts, charged,
    paid, written_off, open_amount, not_due, overdue, overdue_0_30, overdue_31_60, overdue_61_90, overdue_over_90, credit,
    open_dunning_cases, highest_dunning_level, dunning_fees, booked, difference, not_booked, booked_later, not_charged, amount_differs, difference_reason)
WITH charged AS (
    SELECT customer_no, document_no, sum(amount_gross) AS amount
    FROM :"work".data_charges
    WHERE partition_no = :'partition'::integer
    GROUP BY customer_no, document_no
),
booked AS (
    -- A document without reference is a separate document. Its number here is NULL, which equals no document number of
    -- Tripica.
    SELECT customer_no, reference AS document_no, sum(amount) AS amount, min(currency) AS currency
    FROM :"work".data_bookings
    WHERE partition_no = :'partition'::integer
    GROUP BY customer_no, reference,
             CASE WHEN reference IS NULL THEN ROW(company_code, fiscal_year, document_no) END
),
ahead AS (
    SELECT DISTINCT customer_no, reference AS document_no
    FROM :"work".base_data_bookings_ahead
    WHERE partition_no = :'partition'::integer
),
documents AS (
    SELECT customer_no, coalesce(b.amount, 0) AS booked, b.currency, coalesce(c.amount, 0) - coalesce(b.amount, 0) AS difference,
           CASE WHEN c.amount IS NOT NULL AND b.amount IS NOT NULL THEN 'amount_differs'
                WHEN c.amount IS NULL THEN 'not_charged'
                WHEN a.document_no IS NOT NULL THEN 'booked_later'
                ELSE 'not_booked' END AS reason
    FROM charged AS c
    FULL JOIN booked AS b USING (customer_no, document_no)
    LEFT JOIN ahead AS a USING (customer_no, document_no)
),
differences AS (
    SELECT customer_no, sum(booked) AS booked, min(currency) AS currency,
           coalesce(sum(difference) FILTER (WHERE reason = 'not_booked'), 0) AS not_booked,
           coalesce(sum(difference) FILTER (WHERE reason = 'booked_later'), 0) AS booked_later,
           coalesce(sum(difference) FILTER (WHERE reason = 'not_charged'), 0) AS not_charged,
           coalesce(sum(difference) FILTER (WHERE reason = 'amount_differs'), 0) AS amount_differs,
           min(reason) FILTER (WHERE difference <> 0) AS first_reason,
           max(reason) FILTER (WHERE difference <> 0) AS last_reason
    FROM documents
    GROUP BY customer_no
),
balances AS (
    SELECT customer_no, min(currency) AS currency, count(*)::integer AS accounts, sum(charged) AS charged, sum(paid) AS paid,
           sum(written_off) AS written_off, sum(open_amount) AS open_amount, sum(not_due) AS not_due, sum(overdue) AS overdue,
           sum(overdue_0_30) AS overdue_0_30, sum(overdue_31_60) AS overdue_31_60, sum(overdue_61_90) AS overdue_61_90,
           sum(overdue_over_90) AS overdue_over_90, sum(credit) AS credit
    FROM :"work".data_balances
    WHERE partition_no = :'partition'::integer
    GROUP BY customer_no
),
dunning AS (
    SELECT customer_no, count(*)::integer AS cases, max(dunning_level) AS highest_level, sum(fee) AS fees
    FROM :"work".data_dunning
    WHERE partition_no = :'partition'::integer AND status = 'open'
    GROUP BY customer_no
),
customers AS (
    SELECT customer_no, c.customer_name, c.segment
    FROM (SELECT * FROM :"work".base_data_customers WHERE partition_no = :'partition'::integer) AS c
    FULL JOIN (SELECT * FROM :"work".base_data_partners WHERE partition_no = :'partition'::integer) AS p USING (customer_no)
)
SELECT :'partition'::integer, :'business_date'::date, c.customer_no, c.customer_name, c.segment,
       -- All amounts are in euro (a precheck requires one currency); customers without account and booking have zeros.
       coalesce(b.currency, d.currency, 'EUR'),
       coalesce(b.accounts, 0), coalesce(b.charged, 0), coalesce(b.paid, 0), coalesce(b.written_off, 0),
       coalesce(b.open_amount, 0), coalesce(b.not_due, 0), coalesce(b.overdue, 0), coalesce(b.overdue_0_30, 0),
       coalesce(b.overdue_31_60, 0), coalesce(b.overdue_61_90, 0), coalesce(b.overdue_over_90, 0), coalesce(b.credit, 0),
       coalesce(m.cases, 0), coalesce(m.highest_level, 0), coalesce(m.fees, 0),
       coalesce(d.booked, 0), coalesce(b.charged, 0) - coalesce(d.booked, 0),
       coalesce(d.not_booked, 0), coalesce(d.booked_later, 0), coalesce(d.not_charged, 0), coalesce(d.amount_differs, 0),
       CASE WHEN d.first_reason IS NULL THEN 'none' WHEN d.first_reason = d.last_reason THEN d.first_reason ELSE 'several' END
FROM customers AS c
LEFT JOIN balances AS b USING (customer_no)
LEFT JOIN differences AS d USING (customer_no)
LEFT JOIN dunning AS m USING (customer_no)
