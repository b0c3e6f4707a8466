# Both programs in one image. There is no entry point, so that what is written is what runs:
#     docker run --rm IMAGE bda-worker
#     docker run --rm IMAGE bda-coordinator status --date 2026-01-15
# Without a command it prints the coordinator's help. SIGTERM stops either in good order.

ARG SWIFT_VERSION=6.2

# Builder and final image are the same Debian: the programs use its C library and its C libraries.
FROM swift:${SWIFT_VERSION}-bookworm AS build

# Versions are not pinned: Debian's mirrors keep only the newest, and it should be the newest security fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        libcurl4-openssl-dev \
        libmicrohttpd-dev \
        libpq-dev \
        librdkafka-dev \
        libssl-dev \
        libxml2-dev \
        libzstd-dev \
        pkg-config \
        zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /build
COPY Package.swift ./
COPY Sources Sources
# The manifest names the test targets, whose folders must be there; nothing of them is built.
COPY Tests Tests
RUN swift build --configuration release --static-swift-stdlib --product bda-coordinator -Xlinker -s \
    && swift build --configuration release --static-swift-stdlib --product bda-worker -Xlinker -s \
    && install -D --target-directory=/install/usr/local/bin \
        .build/release/bda-coordinator .build/release/bda-worker

FROM debian:bookworm-slim

# libxml2 is what Foundation reads XML with, the rest is named in Package.swift.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates \
        libcurl4 \
        libmicrohttpd12 \
        libpq5 \
        librdkafka1 \
        libssl3 \
        libstdc++6 \
        libxml2 \
        libzstd1 \
        tzdata \
        zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin bda

COPY --from=build /install /
COPY scripts /usr/share/billing-data-aggregator/scripts

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="billing-data-aggregator" \
      org.opencontainers.image.description="Exports a business date's billing position from a PostgreSQL warehouse to S3, split over a fleet of workers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

ENV BDA_SCRIPTS_DIR=/usr/share/billing-data-aggregator/scripts

# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /tmp
CMD ["bda-coordinator", "--help"]
