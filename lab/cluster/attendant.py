"""The lab's own process beside the cluster: host names for routes, folders for claims."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

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
    names = Names(lab)
    routes = partial(
        client.CustomObjectsApi().list_cluster_custom_object,
        "traefik.io", "v1alpha1", "ingressroutes",
    )  # fmt: skip
    for task in (
        partial(names.follow, client.NetworkingV1Api().list_ingress_for_all_namespaces),
        partial(names.follow, routes),
        partial(volumes.provision, lab, core),
        partial(volumes.reclaim, lab, core),
    ):
        threading.Thread(target=_again_and_again, args=(task,)).start()


class Names:
    """Keeps the host's names in step with the lab's routes of every kind that is followed."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._found: dict[Callable[..., Any], set[str]] = {}
        self._alone = threading.Lock()

    def follow(self, listing: Callable[..., Any]) -> None:
        """Follows the routes that `listing` lists; returns when the watch ends."""
        for routes in snapshots(listing):
            names = set().union(*(hosts.names(route, self._lab.domain) for route in routes))
            with self._alone:
                self._found[listing] = names
                known = set().union(*self._found.values())
                hosts.write(self._lab.name, dict.fromkeys(known, str(self._lab.address)))


def _again_and_again(task: Callable[[], None]) -> None:
    while True:
        try:
            task()
        except Exception as error:  # whatever it was: an absent server, a full disk; it may pass
            _log.warning("%s: %s", type(error).__name__, error)
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main(sys.argv[1])
