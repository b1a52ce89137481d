FROM scratch
COPY node-exporter /bin/node_exporter
USER 65534
EXPOSE 9100
ENTRYPOINT ["/bin/node_exporter"]
