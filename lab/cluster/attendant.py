"""The lab's own process beside the cluster: host names for Ingresses, folders for claims."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from kubernetes import client, config

from lab.cluster import hosts, volumes
from lab.cluster.follow import snapshots
from lab.cluster.identity import Lab, find

_PAUSE = 1.0

_log = logging.getLogger(__name__)


def main(name: str) -> None:
    """Works until it is ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    lab = find(name)
    if lab is None:
        raise SystemExit(f"no lab {name}")
    config.load_kube_config(str(lab.kubeconfig))
    core = client.CoreV1Api()
    for task in (
        partial(name_ingresses, lab, client.NetworkingV1Api()),
        partial(volumes.provision, lab, core),
        partial(volumes.reclaim, lab, core),
    ):
        threading.Thread(target=_again_and_again, args=(task,)).start()


def name_ingresses(lab: Lab, api: client.NetworkingV1Api) -> None:
    """Keeps the host's names in step with the lab's Ingresses; returns when the watch ends."""
    for ingresses in snapshots(api.list_ingress_for_all_namespaces):
        names = set().union(*(hosts.names(ingress, lab.domain) for ingress in ingresses))
        hosts.write(lab.name, {name: str(lab.address) for name in names})


def _again_and_again(task: Callable[[], None]) -> None:
    while True:
        try:
            task()
        except Exception as error:  # whatever it was: an absent server, a full disk; it may pass
            _log.warning("%s: %s", type(error).__name__, error)
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main(sys.argv[1])
