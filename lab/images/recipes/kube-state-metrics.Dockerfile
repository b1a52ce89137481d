FROM scratch
COPY kube-state-metrics /kube-state-metrics
USER 65534
EXPOSE 8080 8081
ENTRYPOINT ["/kube-state-metrics", "--port=8080", "--telemetry-port=8081"]
