"""What the stand-in for `kubernetes` waits for, and what it says when that does not come."""

import signal
import subprocess
import time

import pytest

from lab import toolchain
from lab.standins.kubernetes.client import ApiError, Client, Object
from tests.lab.project import Project
from tests.lab.test_kubernetes_standin import K8S, get, made

pytestmark = pytest.mark.lab

SECONDS = "'annotations': {'pulumi.com/timeoutSeconds': '4'}"
WORKLOAD = K8S + (
    "labels = {'app': 'a'}\n"
    "def template(fate):\n"
    "    container = {'name': 'app', 'image': 'x'}\n"
    "    return {'metadata': {'labels': {**labels, 'fate': fate}},\n"
    "        'spec': {'containers': [container]}}\n"
    "def spec(fate, **more):\n"
    "    return {'selector': {'match_labels': labels}, 'template': template(fate), **more}\n"
)


def deployment(fate: str, more: str = "") -> str:
    return WORKLOAD + (
        f"k8s.apps.v1.Deployment('app', metadata={{'name': 'app', {SECONDS}}},\n"
        f"    spec=spec('{fate}'{more}))\n"
    )


def job(fate: str) -> str:
    return WORKLOAD + (
        f"pod = template('{fate}')\n"
        "pod['spec']['restart_policy'] = 'Never'\n"
        f"k8s.batch.v1.Job('task', metadata={{{SECONDS}}},\n"
        "    spec={'backoff_limit': 0, 'template': pod})\n"
    )


def refused(project: Project) -> str:
    """What a failing update printed, on one line."""
    return " ".join(project.fail("up", "--yes", "--skip-preview").split())


def test_a_deployment_is_done_when_its_pods_are_available(
    cluster_project: Project, api: Client
) -> None:
    cluster_project.program(deployment("ready", ", replicas=2")).up()
    status = made(cluster_project, api, "app")["status"]
    assert (status["updatedReplicas"], status["availableReplicas"]) == (2, 2)
    assert cluster_project.resource("app")["outputs"]["status"]["availableReplicas"] == 2


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        (
            "crashes",
            "container app: [CrashLoopBackOff] back-off 10s restarting failed container; "
            "exited with code 3 (Error): weights differ from the pin",
        ),
        ("has-no-image", "container app: [ErrImagePull] not found"),
        ("has-no-node", "[Unschedulable] 0/1 nodes are available: 1 Insufficient cpu."),
    ],
)
def test_a_deployment_that_does_not_come_up_fails_with_its_pods_own_words_and_stays_in_state(
    cluster_project: Project, api: Client, namespace: str, fate: str, words: str
) -> None:
    printed = refused(cluster_project.program(deployment(fate)))
    assert f"'{namespace}/app' timed out waiting to be Ready" in printed
    assert f"Pod {namespace}/app-" in printed
    assert words in printed
    assert cluster_project.resource("app")["id"] == f"{namespace}/app"
    cluster_project.program(deployment("ready")).up()
    assert cluster_project.steps() == {}


def test_pods_that_may_not_be_created_are_explained(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    live = api.get({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    labels = {**live["metadata"]["labels"], "pod-security.kubernetes.io/enforce": "restricted"}
    api.patch(live, [{"op": "replace", "path": "/metadata/labels", "value": labels}])
    printed = refused(cluster_project.program(deployment("ready")))
    assert '[FailedCreate] pods "app-' in printed
    assert "violates PodSecurity" in printed


def test_a_rollout_that_makes_no_progress_fails_before_the_timeout(
    cluster_project: Project,
) -> None:
    program = deployment("crashes", ", progress_deadline_seconds=10")
    started = time.monotonic()
    printed = refused(cluster_project.program(program.replace("'4'", "'100'")))
    assert "[ProgressDeadlineExceeded]" in printed
    assert "weights differ from the pin" in printed
    assert time.monotonic() - started < 60


def test_a_failed_update_says_so_and_the_next_one_tries_again(cluster_project: Project) -> None:
    cluster_project.program(deployment("ready")).up()
    cluster_project.program(deployment("crashes"))
    assert "weights differ from the pin" in refused(cluster_project)
    assert cluster_project.steps() == {"app": "update"}
    cluster_project.program(deployment("ready")).up()
    assert cluster_project.steps() == {}


def test_a_stateful_set_and_a_daemon_set_are_waited_for(
    cluster_project: Project, api: Client
) -> None:
    program = WORKLOAD + (
        "k8s.apps.v1.StatefulSet('set', spec=spec('ready', service_name='set', replicas=2))\n"
        "k8s.apps.v1.DaemonSet('agents', spec=spec('ready'))\n"
    )
    cluster_project.program(program).up()
    assert made(cluster_project, api, "set")["status"]["readyReplicas"] == 2
    assert made(cluster_project, api, "agents")["status"]["numberAvailable"] == 1


def test_a_stateful_set_that_does_not_come_up_fails_with_its_pods_own_words(
    cluster_project: Project,
) -> None:
    program = WORKLOAD + (
        f"k8s.apps.v1.StatefulSet('set', metadata={{{SECONDS}}},\n"
        "    spec=spec('crashes', service_name='set'))\n"
    )
    assert "weights differ from the pin" in refused(cluster_project.program(program))


def test_a_job_is_done_when_it_has_completed(cluster_project: Project, api: Client) -> None:
    cluster_project.program(job("succeeds")).up()
    assert made(cluster_project, api, "task")["status"]["succeeded"] == 1


def test_a_failed_job_is_replaced_where_it_asks_for_it(cluster_project: Project) -> None:
    asking = job("fails").replace("'4'}", "'4', 'pulumi.com/replaceUnready': 'true'}")
    assert "no weights" in refused(cluster_project.program(asking))
    assert cluster_project.steps() == {"task": "replace"}
    cluster_project.program(job("fails"))
    assert cluster_project.steps() == {"task": "update"}


def test_a_failed_job_fails_at_once_with_its_pods_own_words(cluster_project: Project) -> None:
    printed = refused(cluster_project.program(job("fails").replace("'4'", "'100'")))
    assert "[BackoffLimitExceeded]" in printed
    assert "exited with code 3 (Error): no weights" in printed


def test_a_pod_is_waited_for(cluster_project: Project, api: Client) -> None:
    pod = WORKLOAD + "k8s.core.v1.Pod('p', metadata=META, spec=template('x')['spec'])\n"
    meta = f"{{'labels': {{'fate': 'FATE'}}, {SECONDS}}}"
    cluster_project.program(pod.replace("META", meta.replace("FATE", "ready"))).up()
    assert made(cluster_project, api, "p")["status"]["phase"] == "Running"
    cluster_project.program(
        pod.replace("META", meta.replace("FATE", "waits")).replace("'p'", "'q'")
    )
    assert "timed out waiting to be Ready" in refused(cluster_project)


def test_a_service_waits_for_pods_but_not_without_a_selector(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    service = (
        f"k8s.core.v1.Service('s', metadata={{'name': 's', {SECONDS}}},\n"
        "    spec={'selector': labels, 'ports': [{'port': 80}]})\n"
    )
    alone = WORKLOAD + (
        "k8s.core.v1.Service('outside', spec={'ports': [{'port': 80}]})\n"
        "k8s.core.v1.Service('head', spec={'cluster_ip': 'None', 'selector': {'a': 'none'}})\n"
        "k8s.core.v1.Service('far', spec={'type': 'ExternalName', 'external_name': 'a.test'})\n"
    )
    cluster_project.program(alone).up()
    skip = "'annotations': {'pulumi.com/skipAwait': 'true'}"
    broken = deployment("crashes").replace(SECONDS, skip) + service
    printed = refused(cluster_project.program(broken))
    assert f"'{namespace}/s' timed out waiting to be Ready" in printed
    assert "weights differ from the pin" in printed
    cluster_project.program(deployment("ready") + service).up()


def test_an_ingress_waits_for_its_service_and_its_controller(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    backend = "{'service': {'name': 's', 'port': {'number': 80}}}"
    path = f"{{'path': '/', 'path_type': 'Prefix', 'backend': {backend}}}"
    rules = f"[{{'host': 'a.test', 'http': {{'paths': [{path}]}}}}]"
    ingress = K8S + (
        f"k8s.networking.v1.Ingress('in', metadata={{'name': 'in', {SECONDS}}},\n"
        f"    spec={{'rules': {rules}}})\n"
    )
    printed = refused(cluster_project.program(ingress))
    assert "No Service with ready Pods for ingress rule a.test/ -> s" in printed
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    service["metadata"]["namespace"] = namespace
    service["spec"] = {"type": "ExternalName", "externalName": "b.test"}
    api.create(service, "test", dry_run=False)
    assert "set .status.loadBalancer" in refused(cluster_project)
    api.request(
        "PATCH",
        f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/in/status",
        body={"status": {"loadBalancer": {"ingress": [{"ip": "10.1.1.1"}]}}},
        content_type="application/merge-patch+json",
    )
    cluster_project.up()


def test_a_claim_waits_for_a_volume_unless_its_class_waits_for_a_pod(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    lazy = {"name": f"lazy-{namespace}"}
    storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": lazy}
    storage |= {"provisioner": "test.ferry/x", "volumeBindingMode": "WaitForFirstConsumer"}
    api.create(storage, "test", dry_run=False)
    claim = K8S + (
        f"k8s.core.v1.PersistentVolumeClaim('c', metadata={{'name': 'c', {SECONDS}}},\n"
        "    spec={'access_modes': ['ReadWriteOnce'], 'storage_class_name': CLASS,\n"
        "    'resources': {'requests': {'storage': '1Gi'}}})\n"
    )
    cluster_project.program(claim.replace("CLASS", repr(lazy["name"]))).up()
    cluster_project.destroy()
    printed = refused(cluster_project.program(claim.replace("CLASS", "'nothing'")))
    assert "Waiting for a volume to be bound" in printed


def test_a_program_may_wait_for_a_path_or_a_condition_of_its_own(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    waits = K8S + (
        "k8s.core.v1.ConfigMap('conf', metadata={'name': 'conf', 'annotations': {\n"
        "    'pulumi.com/waitFor': WAIT, 'pulumi.com/timeoutSeconds': '3'}}, data={'a': '1'})\n"
    )
    cluster_project.program(waits.replace("WAIT", "'jsonpath={.data.a}=1'")).up()
    cluster_project.destroy()
    printed = refused(cluster_project.program(waits.replace("WAIT", "'condition=Ready'")))
    assert "Waiting for condition Ready=True" in printed
    printed = refused(cluster_project.program(waits.replace("WAIT", "'ready'")))
    assert 'expected a "jsonpath=" or "condition=" prefix' in printed


def test_what_asks_not_to_be_waited_for_is_not(cluster_project: Project) -> None:
    skip = "'annotations': {'pulumi.com/skipAwait': 'true'}"
    cluster_project.program(deployment("crashes").replace(SECONDS, skip)).up()


def test_the_resources_own_timeout_goes_before_the_annotation(cluster_project: Project) -> None:
    options = "opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create='2s')))"
    program = deployment("waits").replace("'4'", "'100'").removesuffix(")\n") + f", {options}\n"
    started = time.monotonic()
    assert "timed out waiting" in refused(cluster_project.program(program))
    assert time.monotonic() - started < 60


def test_a_refresh_says_what_is_not_ready(cluster_project: Project, api: Client) -> None:
    cluster_project.program(deployment("ready")).up()
    live = made(cluster_project, api, "app")
    path = "/spec/template/metadata/labels/fate"
    api.patch(live, [{"op": "replace", "path": path, "value": "crashes"}])
    time.sleep(2)
    cluster_project.refresh()
    assert "weights differ" in str(cluster_project.resource("app")["initErrors"])


def test_an_interrupted_wait_ends_soon_and_loses_nothing(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    cluster_project.program(deployment("waits").replace("'4'", "'300'"))
    engine = subprocess.Popen(
        [toolchain.binary("pulumi"), "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=cluster_project.folder,
        env=cluster_project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    _await(api, namespace, "app")
    engine.send_signal(signal.SIGINT)
    printed, _ = engine.communicate(timeout=60)
    assert engine.returncode != 0
    assert "cancelled while waiting to be Ready" in printed
    assert cluster_project.resource("app")["id"] == f"{namespace}/app"
    cluster_project.program(deployment("ready")).up()


def _await(api: Client, namespace: str, name: str) -> Object:
    give_up = time.monotonic() + 60
    while True:
        try:
            return get(api, "Deployment", namespace, name, "apps/v1")
        except ApiError:
            assert time.monotonic() < give_up
            time.sleep(0.2)
