# Schedules have time zones; upstream's base, too, has their table.
FROM docker.io/library/python:3.11-slim AS debian

FROM scratch
COPY --from=debian /usr/share/zoneinfo /usr/share/zoneinfo
COPY kube-state-metrics /kube-state-metrics
USER 65534
EXPOSE 8080 8081
ENTRYPOINT ["/kube-state-metrics", "--port=8080", "--telemetry-port=8081"]
