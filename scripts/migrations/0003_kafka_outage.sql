-- @former 64b53a6d92b6a26e884ebefb4ad202ecac15ec56f85e14d32cae2c7f491312bf
-- An outage of Kafka costs a run time and nothing else; `status` says so.
ALTER TABLE bda.run ADD COLUMN kafka_unreachable_since timestamptz;
COMMENT ON COLUMN bda.run.kafka_unreachable_since IS
    'Since when the run''s coordinator has had no answer from Kafka; idle workers take the jobs from this ledger meanwhile.';
