# syntax=docker/dockerfile:1

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The caches are mounts, so the program has to be copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin landbridge \
 && cp target/dist/landbridge /usr/local/bin/landbridge

# The C library it was built with, the system's certificate authorities (what servers are verified with
# unless a `ca` is configured), a user who may do nothing, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/landbridge /usr/local/bin/landbridge
EXPOSE 3306 6032 9306
# Healthy means ready: warm connections to the servers are open.
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
    CMD ["/usr/local/bin/landbridge", "health", "--config", "/etc/landbridge/proxy.toml"]
ENTRYPOINT ["/usr/local/bin/landbridge"]
CMD ["run", "--config", "/etc/landbridge/proxy.toml"]
