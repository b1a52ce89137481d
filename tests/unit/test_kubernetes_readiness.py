"""When the stand-in for `kubernetes` calls an object ready, and how it says why not."""

from collections.abc import Callable
from typing import Any

import pytest

from lab.standins.kubernetes import blame, networking, storage, waitfor, workloads
from lab.standins.kubernetes.client import ApiError, Client, Object
from lab.standins.kubernetes.readiness import READY, Verdict
from lab.standins.provider import ProviderError


class Cluster(Client):
    """Answers with the objects it was given; selectors are not looked at."""

    def __init__(self, **kinds: list[Object]) -> None:
        self._kinds = kinds

    def find(self, api_version: str, kind: str, namespace: str, **query: str) -> list[Object]:
        return self._kinds.get(kind, [])

    def get(self, target: Object) -> Object:
        for each in self._kinds.get(target["kind"], []):
            if each["metadata"]["name"] == target["metadata"]["name"]:
                return each
        raise ApiError(404, {"reason": "NotFound"})


def live(kind: str = "Deployment", uid: str = "u", **fields: Any) -> Object:  # noqa: ANN401
    metadata = {"name": "a", "namespace": "n", "uid": uid, "generation": 2}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {}, **fields}


def judge(
    check: Callable[..., Verdict], thing: Object, cluster: Cluster | None = None, at: float = 0
) -> str:
    verdict = check(thing, cluster or Cluster(), at)
    return verdict.state if verdict == READY else f"{verdict.state}: {verdict.message}"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ({"observedGeneration": 1}, "waiting: Waiting for its controller to see the change"),
        ({}, "waiting: Waiting for Pods of the new template (0/2 created)"),
        ({"updatedReplicas": 1}, "waiting: Waiting for Pods of the new template (1/2 created)"),
        (
            {"updatedReplicas": 2, "replicas": 3},
            "waiting: Waiting for 1 Pods of older templates to end",
        ),
        (
            {"updatedReplicas": 2, "replicas": 2, "availableReplicas": 1},
            "waiting: Waiting for Pods to be available (1/2)",
        ),
        ({"updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}, "ready"),
        (
            {
                "conditions": [
                    {
                        "type": "Progressing",
                        "reason": "ProgressDeadlineExceeded",
                        "message": "too slow",
                    }
                ]
            },
            "failed: [ProgressDeadlineExceeded] too slow",
        ),
    ],
)
def test_a_deployment_is_judged_by_its_status(status: Object, verdict: str) -> None:
    thing = live(spec={"replicas": 2}, status={"observedGeneration": 2} | status)
    assert judge(workloads.deployment, thing) == verdict


@pytest.mark.parametrize(
    ("spec", "status", "verdict"),
    [
        ({}, {"replicas": 2, "readyReplicas": 1}, "waiting: Waiting for Pods to be ready (1/2)"),
        (
            {},
            {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 1},
            "waiting: Waiting for Pods of the new revision (1/2)",
        ),
        (
            {},
            {
                "replicas": 2,
                "readyReplicas": 2,
                "updatedReplicas": 2,
                "currentRevision": "a",
                "updateRevision": "b",
            },
            "waiting: Waiting for the new revision to become the current one",
        ),
        ({}, {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}, "ready"),
        (
            {"updateStrategy": {"type": "OnDelete"}},
            {"replicas": 2, "readyReplicas": 2},
            "ready",
        ),
        (
            {"updateStrategy": {"rollingUpdate": {"partition": 1}}},
            {
                "replicas": 2,
                "readyReplicas": 2,
                "updatedReplicas": 1,
                "currentRevision": "a",
                "updateRevision": "b",
            },
            "ready",
        ),
    ],
)
def test_a_stateful_set_is_judged_by_its_status(spec: Object, status: Object, verdict: str) -> None:
    thing = live(spec={"replicas": 2} | spec, status={"observedGeneration": 2} | status)
    assert judge(workloads.stateful_set, thing) == verdict


@pytest.mark.parametrize("check", [workloads.stateful_set, workloads.daemon_set])
def test_a_status_from_before_the_change_says_nothing(check: Callable[..., Verdict]) -> None:
    thing = live(spec={"replicas": 0}, status={"observedGeneration": 1})
    assert judge(check, thing) == "waiting: Waiting for its controller to see the change"
    assert judge(check, live(spec={"replicas": 0})).endswith("to see the change")


def test_a_partition_says_how_many_pods_it_lets_through() -> None:
    spec = {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 1}}}
    status = {"observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1}
    expected = "waiting: Waiting for Pods of the new revision (1/2)"
    assert judge(workloads.stateful_set, live(spec=spec, status=status)) == expected


def test_a_daemon_set_needs_every_node() -> None:
    wanted = {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2}
    waits = live(status=wanted | {"numberAvailable": 1})
    expected = "waiting: Waiting for Pods (2/2 updated, 1 available)"
    assert judge(workloads.daemon_set, waits) == expected
    old = live(status=wanted | {"numberAvailable": 2, "updatedNumberScheduled": 1})
    assert judge(workloads.daemon_set, old).startswith("waiting")
    old["spec"] = {"updateStrategy": {"type": "OnDelete"}}
    assert judge(workloads.daemon_set, old) == "ready"
    assert judge(workloads.daemon_set, live(status=wanted | {"numberAvailable": 2})) == "ready"


@pytest.mark.parametrize(
    ("spec", "status", "verdict"),
    [
        ({}, {"succeeded": 0}, "waiting: Waiting for Job to complete (0/1 succeeded)"),
        ({"suspend": True}, {}, "ready"),
        ({}, {"conditions": [{"type": "Complete", "status": "True"}]}, "ready"),
        (
            {},
            {
                "conditions": [
                    {"type": "Failed", "status": "True", "reason": "Late", "message": "it is"}
                ]
            },
            "failed: [Late] it is",
        ),
    ],
)
def test_a_job_is_judged_by_its_conditions(spec: Object, status: Object, verdict: str) -> None:
    assert judge(workloads.job, live(spec=spec, status=status)) == verdict


def test_a_pod_is_ready_when_it_says_so_or_has_succeeded() -> None:
    ready = [{"type": "Ready", "status": "True"}]
    assert judge(workloads.pod, live(status={"phase": "Running", "conditions": ready})) == "ready"
    assert judge(workloads.pod, live(status={"phase": "Succeeded"})) == "ready"
    assert judge(workloads.pod, live(status={"phase": "Failed"})) == "failed: Pod failed"
    assert judge(workloads.pod, live(status={"phase": "Running"})).startswith("waiting")


def endpoints(*conditions: Object) -> Cluster:
    return Cluster(EndpointSlice=[{"endpoints": [{"conditions": each} for each in conditions]}])


def test_a_service_waits_for_all_of_its_pods_and_not_long_for_the_first() -> None:
    thing = live(spec={"selector": {"a": "b"}})
    both = endpoints({"ready": True}, {"ready": False})
    expected = "waiting: Waiting for Pods to direct traffic to (1/2 ready)"
    assert judge(networking.service, thing, both) == expected
    ending = endpoints({"ready": True}, {"ready": False, "terminating": True})
    assert judge(networking.service, thing, ending) == "ready"
    assert judge(networking.service, thing, endpoints({})) == "ready"
    assert judge(networking.service, thing, endpoints(), 9.9).startswith("waiting")
    assert judge(networking.service, thing, endpoints(), 10) == "ready"
    assert judge(networking.service, thing, both, 100).startswith("waiting")


def test_a_headless_service_waits_for_nobody() -> None:
    thing = live(spec={"selector": {"a": "b"}, "clusterIP": "None"})
    assert judge(networking.service, thing, endpoints({"ready": False})) == "ready"


def ingress(*services: str, default: str = "") -> Object:
    backends = [{"service": {"name": name}} for name in services] + [{"resource": {"name": "r"}}]
    paths = [{"path": "/p", "backend": backend} for backend in backends]
    spec = {"rules": [{"host": "h", "http": {"paths": paths}}, {"host": "bare"}]}
    fallback = {"defaultBackend": {"service": {"name": default}}} if default else {}
    status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    return live(spec=spec | fallback, status=status)


def backend(name: str, **spec: object) -> Object:
    return {"metadata": {"name": name}, "spec": spec}


def test_an_ingress_needs_a_ready_pod_behind_each_path_and_a_published_address() -> None:
    slices = [{"endpoints": [{"conditions": {"ready": True}}]}]
    there = Cluster(Service=[backend("s"), backend("t")], EndpointSlice=slices)
    assert judge(networking.ingress, ingress("s", "t"), there) == "ready"
    waits = "waiting: No Service with ready Pods for ingress rule"
    assert judge(networking.ingress, ingress("s", "u"), there) == f"{waits} h/p -> u"
    assert judge(networking.ingress, ingress("s", default="u"), there) == f"{waits} (default) -> u"
    idle = Cluster(Service=[backend("s")])
    assert judge(networking.ingress, ingress("s"), idle) == f"{waits} h/p -> s"
    outside = Cluster(Service=[backend("s", type="ExternalName")])
    assert judge(networking.ingress, ingress("s"), outside) == "ready"
    unpublished = ingress("s") | {"status": {}}
    assert ".status.loadBalancer" in judge(networking.ingress, unpublished, there)
    assert judge(networking.ingress, ingress(), Cluster()) == "ready"


def test_a_load_balancer_waits_for_its_address() -> None:
    thing = live(spec={"type": "LoadBalancer"})
    assert "load balancer" in judge(networking.service, thing)
    thing["status"] = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    assert judge(networking.service, thing) == "ready"


def test_a_claim_is_ready_when_it_is_bound_or_waits_for_a_pod() -> None:
    thing = live(spec={"storageClassName": "lazy"}, status={"phase": "Pending"})
    named = {"metadata": {"name": "lazy"}, "volumeBindingMode": "WaitForFirstConsumer"}
    assert judge(storage.claim, thing, Cluster(StorageClass=[named])) == "ready"
    named = {"metadata": {"name": "lazy"}, "volumeBindingMode": "Immediate"}
    assert judge(storage.claim, thing, Cluster(StorageClass=[named])).startswith("waiting")
    assert judge(storage.claim, thing).startswith("waiting")
    assert judge(storage.claim, live(status={"phase": "Bound"})) == "ready"
    assert judge(storage.claim, live(status={"phase": "Lost"})).startswith("failed")


def test_a_volume_is_ready_when_a_claim_can_have_it() -> None:
    for phase, state in (("Available", "ready"), ("Bound", "ready"), ("Pending", "waiting")):
        thing = live(status={"phase": phase})
        assert judge(storage.volume, thing).partition(":")[0] == state
    broken = live(status={"phase": "Failed", "message": "disk gone"})
    assert judge(storage.volume, broken) == "failed: disk gone"


def test_a_definition_is_ready_when_the_server_has_taken_it_in() -> None:
    assert judge(storage.definition, live(status={})).startswith("waiting")
    taken = [{"type": "NamesAccepted", "status": "False", "reason": "Taken", "message": "by x"}]
    assert judge(storage.definition, live(status={"conditions": taken})) == "failed: [Taken] by x"
    done = [{"type": "Established", "status": "True"}]
    assert judge(storage.definition, live(status={"conditions": done})) == "ready"


@pytest.mark.parametrize(
    ("expression", "state"),
    [
        ("jsonpath={.status.phase}=Running", "ready"),
        ("jsonpath={.status.phase}=Gone", "waiting"),
        ("jsonpath={.status.phase}", "ready"),
        ("jsonpath={.status.missing}", "waiting"),
        ("jsonpath='{.status.phase}'=Running", "ready"),
        ("jsonpath={$.status['phase']}=Running", "ready"),
        ("jsonpath={.status.list[1]}=2", "ready"),
        ("jsonpath={.status.list[-1]}=2", "ready"),
        ("jsonpath={.status.list[2]}", "waiting"),
        ("jsonpath={.status.list[*]}=1", "waiting"),
        ("jsonpath={.status.on}=true", "ready"),
        ("jsonpath={.status.a\\.b}=dot", "ready"),
        ('jsonpath={.status.conditions[?(@.type=="Up")].status}=True', "ready"),
        ('jsonpath={.status.conditions[?(@.type=="Up")].status}=False', "waiting"),
        ("condition=Up", "ready"),
        ("condition=Up=False", "waiting"),
        ("condition=Down=false", "ready"),
        ("condition=Sideways", "waiting"),
        ('["condition=Up", "jsonpath={.status.phase}=Running"]', "ready"),
        ('["condition=Up", "jsonpath={.status.phase}=Gone"]', "waiting"),
    ],
)
def test_a_program_waits_for_paths_and_conditions(expression: str, state: str) -> None:
    conditions = [{"type": "Up", "status": "True"}, {"type": "Down", "status": "False"}]
    status = {"phase": "Running", "list": [1, 2], "on": True, "a.b": "dot"}
    thing = live(status=status | {"conditions": conditions})
    states = {judge(check, thing).partition(":")[0] for check in waitfor.checks(expression)}
    assert max(states, key=("ready", "waiting").index) == state


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("Ready", '"jsonpath=" or "condition=" prefix'),
        ("jsonpath=.status", "has no {…}"),
        ("jsonpath={.a[1:2]}", r"cannot read '\[1:2\]'"),
        ("[]", "at least one"),
    ],
)
def test_an_expression_that_cannot_be_read_is_refused(expression: str, words: str) -> None:
    with pytest.raises(ProviderError, match=words):
        waitfor.checks(expression)


def pod(name: str, owner: str, **status: Any) -> Object:  # noqa: ANN401
    metadata = {"name": name, "namespace": "n", "ownerReferences": [{"uid": owner}]}
    return {"metadata": metadata | {"uid": name}, "spec": {}, "status": status}


def crashing(name: str, owner: str) -> Object:
    ended = {"terminated": {"exitCode": 3, "reason": "Error", "message": "bad weights\n"}}
    waits = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    return pod(name, owner, containerStatuses=[{"name": "app", "state": waits, "lastState": ended}])


def replica_set(uid: str, revision: int) -> Object:
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    owner = [{"uid": "u"}]
    return {"metadata": {"uid": uid, "annotations": annotations, "ownerReferences": owner}}


SELECTED = {"selector": {"matchLabels": {"a": "b"}}}


def test_the_pods_of_the_newest_template_are_to_blame() -> None:
    cluster = Cluster(
        ReplicaSet=[replica_set("new", 10), replica_set("old", 9)],
        Pod=[crashing("young", "new"), crashing("aged", "old"), crashing("foreign", "x")],
    )
    assert blame.reasons(live(spec=SELECTED), cluster) == [
        "Pod n/young: container app: [CrashLoopBackOff] back-off; "
        "exited with code 3 (Error): bad weights"
    ]


def test_a_container_that_only_starts_is_explained_by_the_events_of_its_pod() -> None:
    starting = {"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}
    events = [
        {"reason": "FailedMount", "message": "newest", "lastTimestamp": "2"},
        {"reason": "FailedMount", "message": "oldest", "lastTimestamp": "1"},
    ]
    cluster = Cluster(Pod=[pod("p", "u", containerStatuses=[starting])], Event=events)
    reasons = blame.reasons(live("StatefulSet", spec=SELECTED), cluster)
    assert reasons == ["Pod n/p: [FailedMount] newest"]


def test_a_healthy_pod_and_a_finished_container_are_not_to_blame() -> None:
    done = {"name": "init", "ready": False, "state": {"terminated": {"exitCode": 0}}}
    well = {"name": "app", "ready": True, "state": {"running": {}}}
    healthy = pod("p", "u", initContainerStatuses=[done], containerStatuses=[well])
    assert blame.reasons(live("DaemonSet", spec=SELECTED), Cluster(Pod=[healthy])) == []


def test_without_pods_the_object_itself_says_why() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "Forbidden", "message": "no"}
    thing = live(spec=SELECTED, status={"conditions": [failure]})
    event = {"reason": "Quota", "message": "exceeded", "lastTimestamp": None}
    expected = ["[Forbidden] no", "[Quota] exceeded"]
    assert blame.reasons(thing, Cluster(Event=[event])) == expected


def test_a_cluster_that_will_not_tell_is_no_second_failure() -> None:
    class Silent(Cluster):
        def find(self, *_: str, **__: str) -> list[Object]:
            raise ApiError(403, {"message": "not allowed"})

    reasons = blame.reasons(live(spec=SELECTED), Silent())
    assert reasons == ["its Pods cannot be read: not allowed"]


def test_a_pod_is_to_blame_itself() -> None:
    evicted = {"phase": "Failed", "reason": "Evicted", "message": "low on disk"}
    thing = live("Pod", status=evicted)
    assert blame.reasons(thing, Cluster()) == ["Pod n/a: [Evicted] low on disk"]


def test_a_pod_without_a_node_says_what_the_scheduler_said() -> None:
    told = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}
    thing = live("Pod", status={"conditions": [told]})
    assert blame.reasons(thing, Cluster()) == ["Pod n/a: [Unschedulable] full"]


def test_a_service_blames_every_pod_that_it_selects() -> None:
    cluster = Cluster(Pod=[crashing("young", "x"), crashing("aged", "y")])
    reasons = blame.reasons(live("Service", spec={"selector": {"a": "b"}}), cluster)
    assert [line.partition(":")[0] for line in reasons] == ["Pod n/young", "Pod n/aged"]


def test_kinds_without_pods_have_only_their_own_events() -> None:
    event = {"reason": "ProvisioningFailed", "message": "no class", "lastTimestamp": "1"}
    cluster = Cluster(Pod=[crashing("p", "u")], Event=[event])
    claim = live("PersistentVolumeClaim", spec=SELECTED)
    assert blame.reasons(claim, cluster) == ["[ProvisioningFailed] no class"]
    definition = {"kind": "CustomResourceDefinition", "metadata": {"name": "a", "uid": "u"}}
    assert blame.reasons(definition, cluster) == []
