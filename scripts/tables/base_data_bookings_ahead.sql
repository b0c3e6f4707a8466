-- SAP's customer line items that are known at the cut-off and posted after the business date. The export of this date
-- does not contain them, but they explain why a charge is not booked yet.
-- @table base_data_bookings_ahead
CREATE TABLE :"work".base_data_bookings_ahead (
    partition_no integer NOT NULL,
    customer_no  text NOT NULL,
    reference    text NOT NULL,
    currency     char(3) NOT NULL,
    amount       numeric(14,2) NOT NULL
) PARTITION BY LIST (partition_no);
