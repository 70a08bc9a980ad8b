# docker build -t beat .
# docker run --read-only --cap-drop ALL -v "$PWD/schedules/prod.toml:/etc/beat/beat.toml:ro" -e CELERY_BROKER_URL=… beat
#
# The result holds one binary, the four libraries of glibc that it is linked to, CA certificates and time zones: no
# shell, no package manager. glibc rather than musl: names are resolved as everywhere else on the host's network, and it
# is the library that the tests run on.
ARG RUST=docker.io/library/rust:1.95-bookworm
FROM ${RUST} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin beat
# The loader looks for the libraries where ldd has found them. Names: /etc/hosts, then DNS.
RUN set -eu; \
    mkdir -p /root-of-image/usr/bin /root-of-image/usr/share /root-of-image/etc/beat /root-of-image/etc/ssl/certs; \
    cd /root-of-image; \
    cp /src/target/release/beat usr/bin/; \
    ldd usr/bin/beat | grep -o '/lib[^ ]*' | xargs cp --parents --dereference --target-directory .; \
    cp --dereference /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/; \
    cp --recursive /usr/share/zoneinfo usr/share/; \
    rm -rf usr/share/zoneinfo/right usr/share/zoneinfo/posix; \
    echo 'beat:x:65532:65532::/:/sbin/nologin' >etc/passwd; \
    echo 'beat:x:65532:' >etc/group; \
    echo 'hosts: files dns' >etc/nsswitch.conf

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="beat" \
      org.opencontainers.image.description="A scheduler for Celery: publishes periodic tasks on time, exactly once" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /root-of-image /
USER 65532:65532
# Every *.toml in this folder is one schedule. Mount the folder or files in it.
ENV BEAT_SCHEDULE=/etc/beat
# For the health check; 0.0.0.0:9400 to be probed and scraped from outside.
ENV BEAT_HTTP_LISTEN=127.0.0.1:9400
EXPOSE 9400
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/bin/beat", "health"]
ENTRYPOINT ["/usr/bin/beat"]
