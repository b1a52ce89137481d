"""How each model's releases are delivered: the controller, once, and the image that judges."""

from pathlib import Path

import pulumi

from components.delivery import How
from components.judging import Judge
from components.rollouts_controller import RolloutsController, RolloutsControllerArgs
from infra.built import built
from infra.foundations import Foundation
from infra.models import BlueGreen, Canary
from infra.rollbacks import going_back
from infra.settings import Settings
from infra.words import seconds


def deliveries(
    wanted: Settings, foundation: Foundation, prometheus: pulumi.Output[str]
) -> dict[str, How]:
    """By pinned model; those that move replica by replica are left out, and need nothing.

    `prometheus` is where it answers inside the cluster.
    """
    ways = {name: wanted.model(name).delivery for name in sorted(wanted.pins)}
    moved = {name: way for name, way in ways.items() if isinstance(way, Canary | BlueGreen)}
    if not moved:
        return {}
    roles = foundation.namespaces
    back = going_back(Path("ledger", f"{wanted.platform.environment}.jsonl"), wanted.pins)
    controller = RolloutsController(
        "argo-rollouts",
        RolloutsControllerArgs(
            namespace=roles["platform"], models=roles["models"], monitoring=roles["monitoring"]
        ),
        pulumi.ResourceOptions(provider=foundation.cluster),
    )
    image = built("analysis", foundation, folder="analysis")  # of all models' judges
    return {
        name: How(
            steps=way.steps if isinstance(way, Canary) else (),
            judge=Judge(
                image=image,
                prometheus=prometheus,
                minimum_requests=way.minimum_requests,
                deadline=seconds(way.deadline),
            ),
            controller=controller.ready,
            at_once=name in back,
        )
        for name, way in moved.items()
    }
