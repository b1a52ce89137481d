"""Who can reach whom in a stack, as a page: `python -m preview.reach dev`."""

import sys
from pathlib import Path
from typing import Any

from infra.settings import Settings, parse
from policy.reach import Pod, Way, outward, ways
from policy.rule import Resource, Stack
from preview.record import DIGEST, record

_HEAD = """# Who can reach whom

Every namespace of a stack denies all traffic but DNS; each NetworkPolicy opens one way. This page
is what they open together, evaluated over the pods of `{stack}` as if all of its models were
pinned: `python -m preview.reach {stack} > docs/reachability.md`. A test compares the two, so that
a way that opens or closes is seen in review. Enforcing them is the cluster's network plugin's; see
[fidelity](fidelity.md).

| from | to | ports |
|---|---|---|
"""
_OUTWARD = """
## Addresses anywhere

What is no pod, no policy can name for every cluster: the API server, and what a cloud has. These
pods may open connections to any address, at these ports alone.

| from | ports |
|---|---|
"""
_PIN = {
    "version": 1,
    "run": "0" * 32,
    "image": DIGEST,
    "weights": DIGEST,
    "signer": DIGEST,
    "data": {"key": "data/none", "versionId": "none", "sha256": "0" * 64},
    "features": DIGEST,
    "commit": "0" * 40,
    "evidence": DIGEST,
}


def pins(settings: Settings) -> dict[str, Any]:
    """A pin for every model of the stack, of a release that is nowhere."""
    return dict.fromkeys(settings.platform.models, _PIN)


def outside(gateway: str) -> tuple[Pod, ...]:
    """Whom a stack talks with in its cluster: the Ingress controller in the namespace `gateway`."""
    return (Pod(name="gateway", namespace=gateway, labels={}, ports={}),)


def page(stack: str, root: Path) -> str:
    """The whole page, in Markdown."""
    settings = parse((root / f"Pulumi.{stack}.yaml").read_text(), stack=stack)
    recorded = record(stack, root, pins=pins(settings))
    seen = Stack([Resource.read(each) for each in recorded])
    gateway = settings.platform.ingress.namespace
    rows = "".join(_row(each) for each in sorted(ways(seen, outside(gateway)), key=_row))
    further = sorted(outward(seen).items())  # registered in no fixed order
    anywhere = "".join(f"| {pod} | {', '.join(ports)} |\n" for pod, ports in further)
    return f"{_HEAD.format(stack=stack)}{rows}{_OUTWARD}{anywhere}"


def _row(way: Way) -> str:
    return f"| {way.source} | {way.target} | {', '.join(way.ports)} |\n"


if __name__ == "__main__":
    print(page(sys.argv[1], Path.cwd()), end="")
