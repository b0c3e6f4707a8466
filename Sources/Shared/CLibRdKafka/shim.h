#pragma once
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

// rd_kafka_producev is variadic, which Swift cannot call.
//
// Hands one copied message to the producer's queue; never blocks. `headers` may be NULL and belongs to librdkafka after
// success only. `timestamp_ms` 0 means now, `partition` RD_KAFKA_PARTITION_UA lets the partitioner choose.
static inline rd_kafka_resp_err_t bda_rd_kafka_produce(
    rd_kafka_t *_Nonnull rk, const char *_Nonnull topic, int32_t partition,
    const void *_Nullable key, size_t key_size, const void *_Nullable value, size_t value_size,
    int64_t timestamp_ms, rd_kafka_headers_t *_Nullable headers, void *_Nullable opaque) {
    return rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_VALUE((void *)value, value_size),
        RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}
