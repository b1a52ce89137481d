"""The labels that every object of ours carries."""


def selector(name: str) -> dict[str, str]:
    """What finds a workload's pods; never changes, since a Deployment's selector can't."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "ferry"}


def labels(name: str, *, version: str | None = None) -> dict[str, str]:
    """The recommended labels of a workload and of all that belongs to it."""
    common = {
        **selector(name),
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": "pulumi",
    }
    return common if version is None else {**common, "app.kubernetes.io/version": version}
