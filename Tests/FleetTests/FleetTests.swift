import Testing

/// The programs as they are built, started as processes, on real servers: a database with the sample warehouse, Kafka (or
/// librdkafka's mock cluster where there is none) and S3.
///
/// One test at a time: each starts several processes, and some wait for leases to run out.
@Suite(
    .serialized, .sampleWarehouse, .timeLimit(.minutes(4)),
    .enabled(if: Fleet.isAvailable, Comment(rawValue: Fleet.skipReason)))
enum WholeSystem {}
