"""Whether a release's pods do not get ready in time, which its controller may forget to see.

Argo Rollouts 1.8.3 minds no progress deadline while a former ReplicaSet has one for its scaling
down, and one that was aborted keeps that for good: github.com/argoproj/argo-rollouts/issues/4971.
"""

import time
from collections.abc import Mapping
from typing import Any

LATE_SECONDS = 15.0
"""What the controller has beyond the deadline to see it by itself."""
_DEFAULT = 600  # seconds: the controller's own


class Watch:
    """Counts on this process' clock alone, from when the pods were last more or fewer."""

    def __init__(self) -> None:
        self._short: int | None = None
        self._since = 0.0

    def late(self, rollout: Mapping[str, Any], release: Mapping[str, Any]) -> bool:
        """Told a Rollout and the ReplicaSet of its newest release, look after look."""
        wanted = release["spec"].get("replicas") or 0
        short = wanted - ((release.get("status") or {}).get("availableReplicas") or 0)
        if short != self._short:
            self._short, self._since = short, time.monotonic()
        patience = rollout["spec"].get("progressDeadlineSeconds", _DEFAULT) + LATE_SECONDS
        ends = bool(rollout["spec"].get("progressDeadlineAbort"))
        return ends and short > 0 and time.monotonic() - self._since >= patience
