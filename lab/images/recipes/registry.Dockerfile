FROM docker.io/library/python:3.11-slim AS debian

FROM scratch
COPY --from=debian /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY busybox /bin/
COPY busybox /bin/sh
COPY registry /bin/
COPY registry.sh /entrypoint.sh
COPY registry.yml /etc/distribution/config.yml
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin OTEL_TRACES_EXPORTER=none
VOLUME ["/var/lib/registry"]
EXPOSE 5000
ENTRYPOINT ["/entrypoint.sh"]
CMD ["/etc/distribution/config.yml"]
