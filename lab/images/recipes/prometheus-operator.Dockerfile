FROM scratch
COPY prometheus-operator /bin/operator
USER 65534
ENTRYPOINT ["/bin/operator"]
