# See docs/guides/container.md.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package tidegate \
    && install -D target/release/tidegate /out/usr/local/bin/tidegate \
    && install -d -m 700 /out/data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build --chown=65532:65532 /out /
ENV TIDEGATE_DATA_DIR=/data TIDEGATE_LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/tidegate"]
CMD ["serve"]
