# syntax=docker/dockerfile:1

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The caches are mounts, so the program has to be copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin landbridge \
 && cp target/release/landbridge /usr/local/bin/landbridge

FROM debian:bookworm-slim
# The system's certificate authorities: what servers are verified with unless a `ca` is configured.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin landbridge
COPY --from=build /usr/local/bin/landbridge /usr/local/bin/landbridge
USER landbridge
EXPOSE 3306 9306
# Healthy means ready: warm connections to the servers are open.
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
    CMD ["landbridge", "health", "--config", "/etc/landbridge/proxy.toml"]
ENTRYPOINT ["landbridge"]
CMD ["run", "--config", "/etc/landbridge/proxy.toml"]
