"""An existing cluster: when KUBECONFIG names one that answers, the lab starts none of its own."""

import os
from pathlib import Path

from lab.cluster.kubeconfig import is_lab

_SECONDS = 3


def chosen() -> Path | None:
    """The person's own kubeconfig, unless it is a lab's or its cluster does not answer."""
    value = os.environ.get("KUBECONFIG", "")
    file = Path(value).expanduser()
    if not value or not file.is_file() or is_lab(file.read_text()):
        return None
    return file.absolute() if _answers(file) else None


def _answers(file: Path) -> bool:
    # Loading the client takes a second, which a person without such a file must not pay for.
    from kubernetes import client, config

    try:
        api = config.new_client_from_config(str(file))
        client.VersionApi(api).get_code(_request_timeout=_SECONDS)
    except Exception:  # whatever it is, that cluster is of no use
        return False
    return True
