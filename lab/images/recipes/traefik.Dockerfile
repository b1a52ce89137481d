FROM docker.io/library/python:3.11-slim AS debian

FROM scratch
COPY --from=debian /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY busybox /bin/
COPY busybox /bin/sh
COPY traefik /usr/local/bin/
COPY traefik.sh /entrypoint.sh
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
EXPOSE 80
ENTRYPOINT ["/entrypoint.sh"]
CMD ["traefik"]
