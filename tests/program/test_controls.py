"""Hardening controls over every pod, namespace and exposed object that a stack makes.

Names say what holds; the numbers are those of the reliability study's list.
"""

import re
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import pytest

from tests.program.recorder import PINNED, Inputs, Platform, Recorder

Spec = dict[str, Any]

# Processes that take a secret from their environment and nowhere else.
_ENVIRONMENT_ONLY = {
    "ROOT_ACCESS_KEY",
    "ROOT_SECRET_KEY",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    # A job takes from its environment what `ferry exec` gives on a machine.
    "MLFLOW_TRACKING_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "ONLINE_STORE",
}
# Whoever talks to the API needs a token for it.
_API_CLIENTS = {
    "Deployment prometheus-operator",
    "Deployment kube-state-metrics",
    "Deployment credit-default-watch",
}
_VOLUMES = {"persistentVolumeClaim", "secret", "emptyDir", "configMap", "projected"}


def containers(pod: Spec) -> Iterable[Spec]:
    return chain(pod["containers"], pod.get("initContainers", ()))


def every(check: Callable[[Spec], bool]) -> Callable[[Spec], bool]:
    return lambda pod: all(check(each) for each in containers(pod))


def nobody(pod: Spec) -> bool:
    user = pod["securityContext"]
    return user["runAsNonRoot"] and user["runAsUser"] > 10000 and user["runAsGroup"] > 10000


def own_processes_only(pod: Spec) -> bool:
    host = any(pod.get(key) for key in ("hostPID", "hostIPC", "hostNetwork", "hostUsers"))
    ports = (port for each in containers(pod) for port in each.get("ports", ()))
    privileged = any(each["securityContext"].get("privileged") for each in containers(pod))
    return not host and not privileged and not any("hostPort" in port for port in ports)


def read_only_root_and_bounded_scratch(pod: Spec) -> bool:
    scratch = [volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume]
    roots = all(each["securityContext"]["readOnlyRootFilesystem"] for each in containers(pod))
    temporary = all(
        "/tmp" in {mount["mountPath"] for mount in each["volumeMounts"]} for each in containers(pod)
    )
    return roots and temporary and all("sizeLimit" in each for each in scratch)


def core_volumes(pod: Spec) -> bool:
    return all(set(volume) - {"name"} <= _VOLUMES for volume in pod["volumes"])


def bounded(container: Spec) -> bool:
    wanted = {"cpu", "memory", "ephemeral-storage"}
    return all(wanted <= container["resources"][side].keys() for side in ("requests", "limits"))


def fixed_image(container: Spec) -> bool:
    return bool(re.search(r"@sha256:[0-9a-f]{64}$|:v?\d+\.\d+\.\d+$", container["image"]))


def secrets_as_files(container: Spec) -> bool:
    referring = {
        each["name"]
        for each in container.get("env", ())
        if "secretKeyRef" in each.get("valueFrom", ())
    }
    return referring <= _ENVIRONMENT_ONLY and "envFrom" not in container


def own_account(pod: Spec) -> bool:
    return pod["serviceAccountName"] not in ("", "default")


def plain_kernel(pod: Spec) -> bool:
    context = pod["securityContext"]
    unusual = {"sysctls", "seLinuxOptions", "appArmorProfile"} & context.keys()
    return not unusual and all("procMount" not in c["securityContext"] for c in containers(pod))


POD_CONTROLS: dict[str, Callable[[Spec], bool]] = {
    "37 runs as a user that is nobody on the node": nobody,
    "38 gains no privileges": every(
        lambda each: each["securityContext"]["allowPrivilegeEscalation"] is False
    ),
    "39 shares nothing with the host": own_processes_only,
    "40 drops all capabilities": every(
        lambda each: each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    ),
    "41 keeps the runtime's seccomp profile": lambda pod: (
        pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    ),
    "42 writes to bounded scratch volumes only": read_only_root_and_bounded_scratch,
    "43 mounts core volumes only": core_volumes,
    "44 asks for and is limited in cpu, memory and storage": every(bounded),
    "45 runs a fixed image": every(fixed_image),
    "46 mounts no token": lambda pod: pod["automountServiceAccountToken"] is False,
    "47 has an account of its own": own_account,
    "48 reads secrets from files": every(secrets_as_files),
    "50 asks nothing of the kernel": plain_kernel,
    "gets no variables from the Services beside it": lambda pod: pod["enableServiceLinks"] is False,
    "tells its last words": every(
        lambda each: each["terminationMessagePolicy"] == "FallbackToLogsOnError"
    ),
}


@pytest.mark.parametrize("control", POD_CONTROLS)
def test_every_pod(platform: Platform, control: str) -> None:
    pods = dict(platform("dev", PINNED).pods())
    assert len(pods) == 18
    excused = _API_CLIENTS if control.startswith("46") else set()
    failing = {name for name, pod in pods.items() if not POD_CONTROLS[control](pod["spec"])}
    assert failing == excused


def test_49_every_server_has_three_probes_of_its_own_kind(platform: Platform) -> None:
    for name, pod in platform("dev", PINNED).pods():
        if name.startswith(("Job ", "CronJob ")):
            continue
        for each in pod["spec"]["containers"]:
            ready, live = each["readinessProbe"], each["livenessProbe"]
            assert "startupProbe" in each
            assert ready != live, name
            probes = (each["startupProbe"], ready, live)
            assert all("host" not in probe.get("httpGet", {}) for probe in probes), name


def test_33_every_namespace_admits_restricted_pods_only(platform: Platform) -> None:
    for namespace in _namespaces(platform("prod", {})):
        labels = namespace["metadata"]["labels"]
        for mode in ("enforce", "warn", "audit"):
            assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
            assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.34"


def test_34_nothing_of_ours_is_outside_our_namespaces(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    ours = {each["metadata"]["name"] for each in _namespaces(seen)}
    # Nodes are of the whole cluster, and so is a right to read their metrics.
    clusters = {"Namespace", "ClusterRole", "ClusterRoleBinding"}
    placed = {
        each["metadata"]["namespace"] for each in seen.kubernetes() if each["kind"] not in clusters
    }
    assert placed <= ours


def test_35_every_namespace_bounds_what_is_asked_of_it(platform: Platform) -> None:
    seen = platform("dev", {})
    ours = {each["metadata"]["name"] for each in _namespaces(seen)}
    for kind in ("ResourceQuota", "LimitRange"):
        assert {each["metadata"]["namespace"] for each in seen.of(kind)} == ours
    for quota in seen.of("ResourceQuota"):
        assert {"pods", "requests.cpu", "requests.memory"} <= quota["spec"]["hard"].keys()
        assert quota["spec"]["hard"]["services.nodeports"] == "0"


def test_36_every_namespace_denies_all_traffic_but_dns(platform: Platform) -> None:
    seen = platform("dev", {})
    for namespace in _namespaces(seen):
        general = [
            policy["spec"]
            for policy in seen.of("NetworkPolicy")
            if policy["metadata"]["namespace"] == namespace["metadata"]["name"]
            and policy["spec"]["podSelector"] == {}
        ]
        denies = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        (dns,) = (spec for spec in general if spec != denies)
        assert denies in general
        assert dns["policyTypes"] == ["Egress"]
        (rule,) = dns["egress"]
        assert {(port["port"], port["protocol"]) for port in rule["ports"]} == {
            (53, "UDP"),
            (53, "TCP"),
        }
        (peer,) = rule["to"]
        assert peer["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}


def test_52_a_budget_leaves_a_replica_and_lets_sick_pods_go(platform: Platform) -> None:
    seen = platform("prod", PINNED)
    budget = seen.one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] < seen.one("HorizontalPodAutoscaler")["spec"]["minReplicas"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_53_a_production_model_has_two_replicas_and_an_autoscaler_that_finds_it(
    platform: Platform,
) -> None:
    seen = platform("prod", PINNED)
    scaler = seen.one("HorizontalPodAutoscaler")["spec"]
    assert scaler["minReplicas"] >= 2
    assert scaler["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "credit-default",
    }


def test_54_every_service_selects_one_workload_and_a_port_that_it_has(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    # The pods of these two are made by their operator.
    operated = {"prometheus", "alertmanager"}
    services = [each for each in seen.of("Service") if each["metadata"]["name"] not in operated]
    assert len(services) == 8
    for service in services:
        spec = service["spec"]
        assert spec["type"] == "ClusterIP"
        (selected,) = (
            pod
            for _, pod in seen.pods()
            if spec["selector"].items() <= pod["metadata"]["labels"].items()
        )
        names = {port["name"] for port in selected["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in spec["ports"]} <= names


def test_55_every_host_is_one_name_under_the_stacks_domain(platform: Platform) -> None:
    ingresses = platform("prod", PINNED).of("Ingress")
    assert {rule["host"] for each in ingresses for rule in each["spec"]["rules"]} == {
        f"{name}.prod.ferry.test"
        for name in (
            *("s3", "registry", "mlflow", "prometheus", "alertmanager"),
            *("credit-default", "credit-default-grpc"),
        )
    }
    assert {each["spec"]["ingressClassName"] for each in ingresses} == {"traefik"}
    assert all("annotations" not in each["metadata"] for each in ingresses)


def test_56_rights_are_given_by_namespace_to_what_watches_but_for_the_nodes_metrics(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    (binding,) = seen.of("ClusterRoleBinding")
    assert [each["name"] for each in binding["subjects"]] == ["prometheus-auto"]
    given = {
        (what, verb)
        for rule in seen.one("ClusterRole")["rules"]
        for what in rule["resources"]
        for verb in rule["verbs"]
    }
    finding = {("nodes", verb) for verb in ("get", "list", "watch")}
    assert given == finding | {("nodes/metrics", "get")}
    subjects = {subject["name"] for each in seen.of("RoleBinding") for subject in each["subjects"]}
    assert {name.removesuffix("-auto") for name in subjects} == {
        *("ferry:dev:auditors", "ferry:dev:data-scientists"),
        "kube-state-metrics",
        "prometheus",
        "prometheus-operator",
        "credit-default-watch",
    }
    for rule in (rule for each in seen.of("Role") for rule in each["rules"]):
        assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])


def test_everything_of_ours_says_so(platform: Platform) -> None:
    unnamed = [
        each
        for each in platform("dev", PINNED).kubernetes()
        if each["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") != "ferry"
    ]
    assert unnamed == []


def _namespaces(seen: Recorder) -> list[Inputs]:
    return [each for each in seen.kubernetes() if each["kind"] == "Namespace"]
