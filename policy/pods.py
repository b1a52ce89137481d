"""What every pod keeps to, whatever makes it."""

import re
from collections.abc import Iterator
from typing import Any

from policy.rule import Props, Resource, Stack, at, rule

KINDS = ("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob")
_SERVERS = ("Deployment", "StatefulSet", "DaemonSet")
_LEAST_UID = 10000
_DIGEST_OR_VERSION = re.compile(r".+(@sha256:[0-9a-f]{64}|:v?\d+\.\d+\.\d+)")
_VOLUMES = {"name", "configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
_SECRETIVE = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|ACCESS_KEY|CREDENTIAL", re.I)


def pod(resource: Resource) -> Props:
    """The spec of the resource's pods."""
    spec = resource.props.get("spec") or {}
    if resource.kind == "Pod":
        return spec
    return at(spec, "jobTemplate.spec.template.spec") or at(spec, "template.spec") or {}


def containers(resource: Resource) -> list[Props]:
    """All containers of a pod: those that prepare it, too."""
    spec = pod(resource)
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _context(resource: Resource, key: str) -> Any:  # noqa: ANN401 - JSON-like data
    return at(pod(resource), f"securityContext.{key}")


def _each(resource: Resource, path: str) -> Iterator[tuple[str, Any]]:
    """The value at the path in each container, with the container's name."""
    for each in containers(resource):
        yield each.get("name", "?"), at(each, path)


@rule("37", "PSA runAsNonRoot", "CKV_K8S_6", "CKV_K8S_40", "NSA C-0013", kinds=KINDS)
def pods_run_as_nobody(resource: Resource, _: Stack) -> Iterator[str]:
    """A pod runs as a user and a group that are nobody's on the node."""
    if _context(resource, "runAsNonRoot") is not True:
        yield "securityContext.runAsNonRoot must be true"
    for key in ("runAsUser", "runAsGroup"):
        found = _context(resource, key)
        if not isinstance(found, int | float) or found <= _LEAST_UID:
            yield f"securityContext.{key} must be above {_LEAST_UID}, is {found}"
    for name, own in _each(resource, "securityContext.runAsUser"):
        if own is not None and own <= _LEAST_UID:
            yield f"container {name} runs as {own}"


@rule("38", "PSA allowPrivilegeEscalation", "CIS 4.2.5", "CKV_K8S_20", "NSA C-0016", kinds=KINDS)
def pods_gain_no_privileges(resource: Resource, _: Stack) -> Iterator[str]:
    """No container gains privileges that its start did not give."""
    for name, allowed in _each(resource, "securityContext.allowPrivilegeEscalation"):
        if allowed is not False:
            yield f"container {name}: securityContext.allowPrivilegeEscalation must be false"


@rule("39", "PSA hostNamespaces", "CIS 4.2.1-4.2.4", "CKV_K8S_16-19", "NSA C-0038", kinds=KINDS)
def pods_share_nothing_with_the_node(resource: Resource, _: Stack) -> Iterator[str]:
    """A pod is not privileged and has none of the node's namespaces and ports."""
    for key in ("hostPID", "hostIPC", "hostNetwork"):
        if pod(resource).get(key):
            yield f"{key} must not be set"
    for each in containers(resource):
        if at(each, "securityContext.privileged"):
            yield f"container {each.get('name')} is privileged"
        if any("hostPort" in port for port in each.get("ports") or ()):
            yield f"container {each.get('name')} asks for a port of the node"


@rule("40", "PSA capabilities_restricted", "CKV_K8S_28", "NSA C-0046", kinds=KINDS)
def pods_drop_all_capabilities(resource: Resource, _: Stack) -> Iterator[str]:
    """Every container drops all capabilities and adds none."""
    for name, found in _each(resource, "securityContext.capabilities"):
        if not found or "ALL" not in (found.get("drop") or ()) or found.get("add"):
            yield f"container {name}: capabilities must be drop: [ALL] and no add"


@rule("41", "PSA seccompProfile_restricted", "CKV_K8S_31", "NSA C-0055", kinds=KINDS)
def pods_keep_the_seccomp_profile(resource: Resource, _: Stack) -> Iterator[str]:
    """A pod keeps the runtime's seccomp profile."""
    found = _context(resource, "seccompProfile.type")
    if found != "RuntimeDefault":
        yield f"securityContext.seccompProfile.type must be RuntimeDefault, is {found}"
    for name, own in _each(resource, "securityContext.seccompProfile.type"):
        if own not in (None, "RuntimeDefault"):
            yield f"container {name} has the seccomp profile {own}"


@rule("42", "CKV_K8S_22", "NSA C-0017", kinds=KINDS)
def pods_write_to_bounded_volumes(resource: Resource, _: Stack) -> Iterator[str]:
    """A container's root is read-only, and every scratch volume has a bound."""
    for name, found in _each(resource, "securityContext.readOnlyRootFilesystem"):
        if found is not True:
            yield f"container {name}: securityContext.readOnlyRootFilesystem must be true"
    for volume in pod(resource).get("volumes") or ():
        if "emptyDir" in volume and not at(volume, "emptyDir.sizeLimit"):
            yield f"volume {volume.get('name')} needs an emptyDir.sizeLimit"


@rule("43", "PSA restrictedVolumes", "CKV_K8S_27", "NSA C-0048", kinds=KINDS)
def pods_mount_nothing_of_the_node(resource: Resource, _: Stack) -> Iterator[str]:
    """A pod mounts claims, secrets, config maps, scratch and projections, nothing else."""
    for volume in pod(resource).get("volumes") or ():
        other = {key for key, value in volume.items() if value is not None} - _VOLUMES
        if other:
            yield f"volume {volume.get('name')} is of kind {', '.join(sorted(other))}"


@rule("44", "CKV_K8S_10-13", "NSA C-0270", "NSA C-0271", kinds=KINDS)
def pods_are_bounded(resource: Resource, _: Stack) -> Iterator[str]:
    """Every container asks for, and is limited in, CPU, memory and storage."""
    for name, found in _each(resource, "resources"):
        for side in ("requests", "limits"):
            for what in ("cpu", "memory", "ephemeral-storage"):
                if not at(found or {}, f"{side}.{what}"):
                    yield f"container {name} needs resources.{side}.{what}"


@rule("45", "CKV_K8S_14", "CKV_K8S_43", "CIS 5.1.4", kinds=KINDS)
def images_are_fixed(resource: Resource, _: Stack) -> Iterator[str]:
    """Every image is named by digest, or by a whole version where it is upstream's."""
    for name, image in _each(resource, "image"):
        if isinstance(image, str) and not _DIGEST_OR_VERSION.fullmatch(image):
            yield f"container {name}: image {image} has neither a digest nor a whole version"


@rule("46", "CIS 4.1.6", "CKV_K8S_38", "NSA C-0034", kinds=KINDS)
def pods_mount_no_token(resource: Resource, _: Stack) -> Iterator[str]:
    """A pod that does not call the API server has no token for it."""
    if pod(resource).get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken must be false"


@rule("47", "CIS 4.1.5", "CKV_K8S_41", kinds=KINDS)
def pods_have_their_own_account(resource: Resource, _: Stack) -> Iterator[str]:
    """A pod has a service account of its own."""
    if pod(resource).get("serviceAccountName") in (None, "", "default"):
        yield "serviceAccountName must name an account of the workload's own"


@rule("48", "CIS 4.4.1", "CKV_K8S_35", "NSA C-0012", kinds=KINDS)
def no_secret_is_written_into_a_pod(resource: Resource, _: Stack) -> Iterator[str]:
    """A pod's spec holds no secret: its environment refers to them, its arguments have none."""
    for each in containers(resource):
        for variable in each.get("env") or ():
            name, value = variable.get("name", ""), variable.get("value")
            if value and _SECRETIVE.search(name) and not name.endswith(("_FILE", "_PATH")):
                yield f"container {each.get('name')}: {name} is given in clear"
        if each.get("envFrom"):
            yield f"container {each.get('name')}: envFrom names no variable; list them"


@rule("49", "CKV_K8S_8", "CKV_K8S_9", "kube-score pod-probes", kinds=_SERVERS)
def servers_have_probes_of_their_own(resource: Resource, _: Stack) -> Iterator[str]:
    """A server has probes for start, readiness and life, of which no two are the same."""
    for each in pod(resource).get("containers") or ():
        probes = {key: each.get(key) for key in ("startupProbe", "readinessProbe", "livenessProbe")}
        for key in (key for key, probe in probes.items() if not probe):
            yield f"container {each.get('name')} has no {key}"
        if probes["readinessProbe"] and probes["readinessProbe"] == probes["livenessProbe"]:
            yield f"container {each.get('name')}: not ready must not mean dead"
        if any(at(probe or {}, "httpGet.host") for probe in probes.values()):
            yield f"container {each.get('name')}: a probe asks another host"


@rule("50", "PSA sysctls", "PSA procMount", "PSA seLinuxOptions", kinds=KINDS)
def pods_ask_nothing_of_the_kernel(resource: Resource, _: Stack) -> Iterator[str]:
    """A pod leaves sysctls, proc mounts, SELinux and AppArmor as they are."""
    for key in ("sysctls", "seLinuxOptions", "appArmorProfile"):
        if _context(resource, key):
            yield f"securityContext.{key} must not be set"
    for name, found in _each(resource, "securityContext.procMount"):
        if found not in (None, "Default"):
            yield f"container {name}: procMount is {found}"


RULES = (
    pods_run_as_nobody,
    pods_gain_no_privileges,
    pods_share_nothing_with_the_node,
    pods_drop_all_capabilities,
    pods_keep_the_seccomp_profile,
    pods_write_to_bounded_volumes,
    pods_mount_nothing_of_the_node,
    pods_are_bounded,
    images_are_fixed,
    pods_mount_no_token,
    pods_have_their_own_account,
    no_secret_is_written_into_a_pod,
    servers_have_probes_of_their_own,
    pods_ask_nothing_of_the_kernel,
)
