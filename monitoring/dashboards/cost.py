"""The screen of what the stack costs: what is asked for and what is used, in money."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.panels import Panel, lines, number, screen
from monitoring.prices import Prices

_GIB = 2**30
_HOURS = 730  # of a month
# 1 for each namespace that answers requests.
_SERVING = "group by (namespace) (prediction_latency_seconds_count)"


def board(prices: Prices) -> Dashboard:
    """Of the whole stack, at `prices`."""
    asked = {
        by: _money(
            f'sum by ({by}) (kube_pod_container_resource_requests{{resource="cpu"}})',
            f'sum by ({by}) (kube_pod_container_resource_requests{{resource="memory"}})',
            prices,
        )
        for by in ("namespace", "namespace, pod")
    }
    used = _money(
        "sum by (namespace) (rate(container_cpu_usage_seconds_total[1h]))",
        "sum by (namespace) (container_memory_working_set_bytes)",
        prices,
    )
    volumes = (
        f"kube_persistentvolumeclaim_resource_requests_storage_bytes / {_GIB} * {prices.volume}"
    )
    rows = (
        (f"A month, in {prices.currency} at the prices of {prices.as_of}", _now(asked, volumes)),
        ("By namespace", _namespaces(asked["namespace"], used, volumes)),
        ("By pod and prediction", _pods(asked["namespace, pod"], asked["namespace"])),
    )
    return screen("cost", "Cost", rows)


def _money(cpu: str, memory: str, prices: Prices) -> str:
    """A month of CPUs and bytes."""
    return f"({cpu} * {prices.cpu} + {memory} / {_GIB} * {prices.memory})"


def _now(asked: dict[str, str], volumes: str) -> tuple[Panel, ...]:
    return (
        number("Running", "All that pods ask for.", f"sum({asked['namespace']})", decimals=2),
        number("Volumes", "All that is claimed.", f"sum({volumes})", decimals=2),
        number(
            "Unused CPUs",
            "Asked for, and idle over the last hour.",
            'sum(kube_pod_container_resource_requests{resource="cpu"})'
            " - sum(rate(container_cpu_usage_seconds_total[1h]))",
            decimals=2,
        ),
    )


def _namespaces(asked: str, used: str, volumes: str) -> tuple[Panel, ...]:
    return (
        lines("Asked for", "CPU and memory, a month.", (asked, "{{namespace}}")),
        lines("Used", "CPU and memory, a month at the last hour's rate.", (used, "{{namespace}}")),
        lines("Volumes", "Claimed, a month.", (f"sum by (namespace) ({volumes})", "{{namespace}}")),
    )


def _pods(pods: str, namespaces: str) -> tuple[Panel, ...]:
    models = f"sum({namespaces} * on (namespace) group_left () {_SERVING})"
    answers = "sum(increase(prediction_latency_seconds_count[1h]))"
    return (
        lines(
            "Dearest pods", "The ten that ask for most, a month.", (f"topk(10, {pods})", "{{pod}}")
        ),
        lines(
            "A million predictions",
            "What the models' namespace asks for, by what it answered in the last hour.",
            (f"{models} / {_HOURS} * 1e6 / {answers}", "all models"),
        ),
    )
