FROM docker.io/library/python:3.11-slim AS debian

FROM scratch
COPY --from=debian /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY metrics-server /metrics-server
USER 65534
ENTRYPOINT ["/metrics-server"]
