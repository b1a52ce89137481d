"""Whether a change is an update or a replacement, and which goes first in a replacement."""

from lab.standins.difference import ABSENT, Change, Difference, Path, walk, written
from lab.standins.kubernetes.naming import AUTONAMED
from lab.standins.kubernetes.objects import annotation, metadata
from lab.standins.provider import Diff, Properties
from lab.standins.values import Value, unwrap

REPLACE_UNREADY = "pulumi.com/replaceUnready"
_EACH = "*"  # any element of a list

_CONTAINER = (
    "args command env image imagePullPolicy lifecycle livenessProbe ports readinessProbe resources "
    "securityContext stdin stdinOnce terminationMessagePath terminationMessagePolicy tty "
    "volumeDevices volumeMounts workingDir"
)

_POD = (
    "affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks hostAliases "
    "hostIPC hostNetwork hostPID hostname imagePullSecrets nodeName nodeSelector overhead "
    "preemptionPolicy priority priorityClassName readinessGates restartPolicy runtimeClassName "
    "schedulerName securityContext serviceAccount serviceAccountName shareProcessNamespace "
    "subdomain terminationGracePeriodSeconds volumes"
)

_VOLUME_SOURCES = (
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker "
    "gcePersistentDisk glusterfs hostPath iscsi local nfs photonPersistentDisk portworxVolume "
    "quobyte rbd scaleIO storageos vsphereVolume"
)


def _spec(fields: str) -> list[Path]:
    return [("spec", field) for field in fields.split()]


_BINDING: list[Path] = [("roleRef",)]

# What the official provider replaces for; a data change of a ConfigMap or Secret is in `_fixed`.
_IMMUTABLE: dict[tuple[str, str], list[Path]] = {
    ("apps", "DaemonSet"): _spec("selector"),
    ("apps", "Deployment"): _spec("selector"),
    ("apps", "StatefulSet"): _spec(
        "podManagementPolicy revisionHistoryLimit selector serviceName volumeClaimTemplates"
    ),
    ("batch", "Job"): _spec("completions parallelism selector template"),
    ("", "PersistentVolume"): _spec(_VOLUME_SOURCES),
    ("", "PersistentVolumeClaim"): _spec("accessModes selector storageClassName volumeName"),
    ("", "Pod"): [
        *_spec(_POD),
        *(
            ("spec", containers, _EACH, field)
            for containers in ("containers", "initContainers")
            for field in _CONTAINER.split()
        ),
    ],
    ("", "ResourceQuota"): _spec("scopes"),
    ("", "Service"): _spec("clusterIP"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("storage.k8s.io", "StorageClass"): [("parameters",), ("provisioner",)],
}


def difference(
    old: Properties, new: Properties, *, mutable_config_maps: bool, mutable_secrets: bool
) -> Diff:
    """The changes from the old inputs to the new."""
    fixed = _fixed(new, mutable_config_maps=mutable_config_maps, mutable_secrets=mutable_secrets)
    changes = {
        written(each.path): Change(each.kind, _touches(each, fixed))
        for each in walk(_with_namespace(old), _with_namespace(new))
    }
    replaced = any(change.replace for change in changes.values())
    return Diff(changes=changes, delete_before_replace=replaced and _same_name(old, new))


def replacement(difference: Diff, old: Properties, new: Properties) -> Diff:
    """The same difference, or none, as a replacement: `pulumi.com/replaceUnready` asks for it."""
    annotation = f'metadata.annotations["{REPLACE_UNREADY}"]'
    return Diff(
        changes={**difference.changes, annotation: Change("update", replace=True)},
        delete_before_replace=_same_name(old, new),
    )


def _fixed(new: Properties, *, mutable_config_maps: bool, mutable_secrets: bool) -> list[Path]:
    kind = unwrap(new.get("kind"))
    api_version = str(unwrap(new.get("apiVersion")))
    paths: list[Path] = [("metadata", "name"), ("metadata", "namespace")]
    group = api_version.rpartition("/")[0]
    immutable = unwrap(new.get("immutable")) is True
    if (group, kind) == ("", "Secret"):
        paths.append(("type",))
        if immutable or not mutable_secrets:
            paths += [("data",), ("stringData",)]
    elif (group, kind) == ("", "ConfigMap") and (immutable or not mutable_config_maps):
        paths += [("data",), ("binaryData",)]
    return paths + _IMMUTABLE.get((group, str(kind)), [])


def _touches(difference: Difference, fixed: list[Path]) -> bool:
    """Whether a difference lies in a fixed field, or takes one along."""
    return any(_meets(difference, path) for path in fixed)


def _meets(difference: Difference, fixed: Path) -> bool:
    shared = min(len(fixed), len(difference.path))
    matching = zip(fixed[:shared], difference.path[:shared], strict=True)
    if not all(wanted in (_EACH, key) for wanted, key in matching):
        return False
    rest = fixed[shared:]
    return _holds(difference.old, rest) or _holds(difference.new, rest)


def _holds(value: Value, path: Path) -> bool:
    """Whether there is something at the path."""
    if not path:
        return value is not ABSENT
    if path[0] == _EACH:
        return isinstance(value, list) and any(_holds(item, path[1:]) for item in value)
    return isinstance(value, dict) and _holds(value.get(path[0], ABSENT), path[1:])


def _with_namespace(inputs: Properties) -> Properties:
    """No namespace and "default" are the same."""
    found = unwrap(inputs.get("metadata"))
    if not isinstance(found, dict) or found.get("namespace"):
        return inputs
    return {**inputs, "metadata": {**found, "namespace": "default"}}


def _same_name(old: Properties, new: Properties) -> bool:
    """Whether the new object cannot stand beside the old one."""
    before, after = metadata(_with_namespace(old)), metadata(_with_namespace(new))
    names = [(each.get("name"), each.get("namespace")) for each in (before, after)]
    return names[0] == names[1] and annotation(new, AUTONAMED) != "true"
