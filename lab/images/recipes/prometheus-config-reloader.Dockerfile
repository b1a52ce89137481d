FROM scratch
COPY prometheus-config-reloader /bin/
USER 65534
ENTRYPOINT ["/bin/prometheus-config-reloader"]
