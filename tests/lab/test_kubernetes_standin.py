"""What a program sees of the stand-in for `kubernetes`: creating, changing, reading, deleting."""

from pathlib import Path

import pytest

from lab.rehearsal.control_plane import ControlPlane
from lab.standins.kubernetes.client import ApiError, Client, Object
from tests.lab.project import Project

pytestmark = pytest.mark.lab

K8S = "import pulumi\nimport pulumi_kubernetes as k8s\n"

CONFIG = "k8s.core.v1.ConfigMap('conf', metadata={metadata}, data={data})\n"
NAMED = {"name": "conf"}


def config(data: object, metadata: object = None) -> str:
    return K8S + CONFIG.format(data=data, metadata=metadata)


def get(api: Client, kind: str, namespace: str, name: str, api_version: str = "v1") -> Object:
    metadata = {"name": name, "namespace": namespace}
    return api.get({"apiVersion": api_version, "kind": kind, "metadata": metadata})


def made(project: Project, api: Client, name: str) -> Object:
    """The object behind a resource in state."""
    outputs = project.resource(name)["outputs"]
    return api.get({key: outputs[key] for key in ("apiVersion", "kind", "metadata")})


def managers(live: Object) -> list[tuple[str, str]]:
    return [(each["manager"], each["operation"]) for each in live["metadata"]["managedFields"]]


def test_an_unnamed_object_gets_a_name_of_its_own_and_keeps_it(
    cluster_project: Project, api: Client
) -> None:
    account = K8S + "k8s.core.v1.ServiceAccount('robot', metadata={'labels': {'v': VERSION}})"
    cluster_project.program(account.replace("VERSION", "'1'")).up()
    before = made(cluster_project, api, "robot")
    prefix, _, suffix = before["metadata"]["name"].rpartition("-")
    assert (prefix, len(suffix), int(suffix, 16) >= 0) == ("robot", 8, True)
    assert before["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert cluster_project.steps() == {}
    cluster_project.program(account.replace("VERSION", "'2'")).up()
    after = api.get(before)
    assert after["metadata"]["labels"] == {"v": "2"}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_an_object_that_exists_already_is_not_taken_over(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    metadata = {**NAMED, "namespace": namespace}
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}
    api.create(foreign, "somebody", dry_run=False)
    printed = cluster_project.program(config({"a": "2"}, NAMED)).fail("up", "--yes")
    assert "configmaps 'conf' already exists" in printed, printed
    assert "pulumi import" in printed, printed
    assert get(api, "ConfigMap", namespace, "conf")["data"] == {"a": "1"}


def test_a_field_that_leaves_the_program_leaves_the_object(
    cluster_project: Project, api: Client
) -> None:
    labels = {"labels": {"stays": "1", "goes": "1"}}
    cluster_project.program(config({"a": "1"}, labels)).up()
    cluster_project.program(config({"a": "1"}, {"labels": {"stays": "1"}})).up()
    live = made(cluster_project, api, "conf")
    assert live["metadata"]["labels"] == {"stays": "1"}
    ((manager, operation),) = managers(live)
    assert (manager[:18], operation) == ("pulumi-kubernetes-", "Apply")
    assert cluster_project.resource("conf")["outputs"]["__fieldManager"] == manager


def test_a_field_of_another_manager_is_a_conflict_that_names_it_until_it_is_forced(
    cluster_project: Project, api: Client
) -> None:
    cluster_project.program(config({"a": "1"}, {"labels": {"owner": "us"}})).up()
    live = made(cluster_project, api, "conf")
    theirs = {"name": live["metadata"]["name"], "namespace": live["metadata"]["namespace"]}
    theirs["labels"] = {"owner": "them"}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": theirs}
    api.apply(manifest, "someone-else", force=True, dry_run=False)
    cluster_project.program(config({"a": "1"}, {"labels": {"owner": "us-again"}}))
    printed = cluster_project.fail("up", "--yes", "--skip-preview")
    assert 'conflict with "someone-else": .metadata.labels.owner' in printed, printed
    assert "pulumi.com/patchForce" in printed, printed
    force = {"labels": {"owner": "us-again"}, "annotations": {"pulumi.com/patchForce": "true"}}
    cluster_project.program(config({"a": "1"}, force)).up()
    assert api.get(live)["metadata"]["labels"] == {"owner": "us-again"}


def test_an_annotation_names_the_field_manager(cluster_project: Project, api: Client) -> None:
    metadata = {"annotations": {"pulumi.com/patchFieldManager": "ferry"}}
    cluster_project.program(config({"a": "1"}, metadata)).up()
    metadata["labels"] = {"a": "1"}
    cluster_project.program(config({"a": "1"}, metadata)).up()
    assert managers(made(cluster_project, api, "conf")) == [("ferry", "Apply")]


def test_defaults_and_other_ways_to_write_an_amount_are_no_change(
    cluster_project: Project,
) -> None:
    program = K8S + (
        "labels = {'app': 'a'}\n"
        "container = {'name': 'c', 'image': 'x', 'ports': [{'container_port': 80}],\n"
        "    'resources': {'requests': {'cpu': '0.5', 'memory': '1024Mi'}}}\n"
        "template = {'metadata': {'labels': labels},\n"
        "    'spec': {'containers': [container], 'host_network': False}}\n"
        "k8s.apps.v1.Deployment('app', spec={'replicas': 1,\n"
        "    'selector': {'match_labels': labels}, 'template': template})\n"
        "k8s.core.v1.Service('app', spec={'selector': labels, 'ports': [{'port': 80}]})\n"
    )
    cluster_project.program(program).up()
    assert cluster_project.steps() == {}
    cluster_project.refresh()
    assert cluster_project.steps() == {}


def test_new_data_replaces_an_unnamed_config_map_before_the_old_one_goes(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    cluster_project.program(config({"a": "1"})).up()
    before = made(cluster_project, api, "conf")
    cluster_project.program(config({"a": "2"}))
    assert cluster_project.steps() == {"conf": "replace"}
    cluster_project.up()
    after = made(cluster_project, api, "conf")
    assert after["metadata"]["name"] != before["metadata"]["name"]
    assert after["data"] == {"a": "2"}
    with pytest.raises(ApiError, match="not found"):
        api.get(before)


def test_new_data_replaces_a_named_config_map_after_the_old_one_is_gone(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    cluster_project.program(config({"a": "1"}, NAMED)).up()
    before = get(api, "ConfigMap", namespace, "conf")
    cluster_project.program(config({"a": "2"}, NAMED)).up()
    after = get(api, "ConfigMap", namespace, "conf")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["data"] == {"a": "2"}


def test_the_server_judges_a_change_in_the_preview(cluster_project: Project) -> None:
    service = K8S + "k8s.core.v1.Service('s', spec={'ports': [{'port': PORT}]})"
    cluster_project.program(service.replace("PORT", "80")).up()
    cluster_project.program(service.replace("PORT", "70000"))
    printed = cluster_project.fail("preview")
    assert "spec.ports[0].port: Invalid value: 70000" in printed, printed


def test_a_preview_goes_through_before_namespaces_and_kinds_exist(
    cluster_project: Project, api: Client
) -> None:
    program = K8S + (
        "ns = k8s.core.v1.Namespace('new', metadata={'name': 'new-' + pulumi.get_stack()})\n"
        "k8s.core.v1.ConfigMap('inside', metadata={'namespace': 'new-' + pulumi.get_stack()},\n"
        "    opts=pulumi.ResourceOptions(depends_on=[ns]))\n"
        "names = {'plural': 'wheels', 'singular': 'wheel', 'kind': 'Wheel'}\n"
        "schema = {'open_apiv3_schema': {'type': 'object',\n"
        "    'x_kubernetes_preserve_unknown_fields': True}}\n"
        "version = {'name': 'v1', 'served': True, 'storage': True, 'schema': schema}\n"
        "crd = k8s.apiextensions.v1.CustomResourceDefinition('wheels',\n"
        "    metadata={'name': 'wheels.test.ferry'}, spec={'group': 'test.ferry',\n"
        "    'names': names, 'scope': 'Namespaced', 'versions': [version]})\n"
        "k8s.apiextensions.CustomResource('wheel', api_version='test.ferry/v1', kind='Wheel',\n"
        "    metadata={'name': 'wheel'}, spec={'spokes': 12},\n"
        "    opts=pulumi.ResourceOptions(depends_on=[crd]))\n"
    )
    cluster_project.program(program)
    assert cluster_project.preview() == {"create": 5}
    cluster_project.up()
    wheel = made(cluster_project, api, "wheel")
    assert wheel["spec"] == {"spokes": 12}
    assert cluster_project.steps() == {}
    cluster_project.destroy()
    with pytest.raises(ApiError, match="not found"):
        get(api, "Namespace", "", "new-t")


def test_a_secret_is_never_in_clear_in_state(cluster_project: Project, api: Client) -> None:
    program = K8S + (
        "k8s.core.v1.Secret('plain', string_data={'key': 'hunter2'},\n"
        "    data={'other': 'aHVudGVyMw=='})\n"
        "k8s.core.v1.ConfigMap('conf', data={'open': 'seen',\n"
        "    'hidden': pulumi.Output.secret('hunter4')})\n"
    )
    cluster_project.program(program).up()
    cluster_project.refresh()
    state = cluster_project.state()
    clear = ("hunter2", "aHVudGVyMg==", "hunter3", "aHVudGVyMw==", "hunter4")
    assert [text for text in clear if text in state] == []
    assert "seen" in state
    assert made(cluster_project, api, "plain")["data"] == {
        "key": "aHVudGVyMg==",
        "other": "aHVudGVyMw==",
    }
    assert cluster_project.steps() == {}


def test_what_kubectl_remembers_of_a_secret_stays_out_of_state(
    cluster_project: Project, api: Client
) -> None:
    cluster_project.program(K8S + "k8s.core.v1.Secret('s', string_data={'a': 'b'})").up()
    live = made(cluster_project, api, "s")
    name = "kubectl.kubernetes.io~1last-applied-configuration"
    copy = {"op": "add", "path": f"/metadata/annotations/{name}", "value": "hunter2"}
    api.patch(live, [copy])
    cluster_project.refresh()
    assert "hunter2" not in cluster_project.state()


def test_a_refresh_sees_what_is_gone_and_what_has_drifted_and_an_update_heals_both(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    program = config({"a": "1"}, NAMED) + CONFIG.replace("conf", "lost").format(
        data={"b": "1"}, metadata=None
    )
    cluster_project.program(program).up()
    api.delete(made(cluster_project, api, "lost"), "Background")
    live = get(api, "ConfigMap", namespace, "conf")
    api.patch(live, [{"op": "replace", "path": "/data/a", "value": "drifted"}])
    cluster_project.refresh()
    assert cluster_project.resource("conf")["inputs"]["data"] == {"a": "drifted"}
    assert "lost" not in str(cluster_project.resources("ConfigMap"))
    assert cluster_project.steps()["lost"] == "create"
    cluster_project.up()
    assert get(api, "ConfigMap", namespace, "conf")["data"] == {"a": "1"}
    assert made(cluster_project, api, "lost")["data"] == {"b": "1"}


def test_an_object_is_imported_by_namespace_and_name(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    metadata = {**NAMED, "namespace": namespace}
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}
    before = api.create(foreign, "kubectl", dry_run=False)
    options = f", opts=pulumi.ResourceOptions(import_='{namespace}/conf'))"
    cluster_project.program(config({"a": "1"}, NAMED).replace(")\n", options)).up()
    cluster_project.program(config({"a": "1"}, {**NAMED, "labels": {"ours": "1"}})).up()
    after = get(api, "ConfigMap", namespace, "conf")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["labels"] == {"ours": "1"}


def test_deleting_waits_until_the_object_is_gone(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    held = {**NAMED, "finalizers": ["ferry.test/hold"], "annotations": {}}
    held["annotations"]["pulumi.com/timeoutSeconds"] = "3"
    cluster_project.program(config({"a": "1"}, held)).up()
    printed = cluster_project.fail("destroy", "--yes", "--skip-preview")
    assert "timed out waiting to be deleted (held by its finalizers ferry.test/hold)" in printed, (
        printed
    )
    live = get(api, "ConfigMap", namespace, "conf")
    api.patch(live, [{"op": "remove", "path": "/metadata/finalizers"}])
    cluster_project.destroy()


def test_changing_what_is_gone_already_says_what_to_do(
    cluster_project: Project, api: Client
) -> None:
    cluster_project.program(config({"a": "1"})).up()
    api.delete(made(cluster_project, api, "conf"), "Background")
    changed = cluster_project.program(config({"a": "1"}, {"labels": {"a": "b"}}))
    printed = changed.fail("up", "--yes", "--skip-preview")
    assert "deleted behind Pulumi's back; run `pulumi refresh`" in printed, printed


def test_deleting_what_is_gone_already_is_no_error(cluster_project: Project, api: Client) -> None:
    cluster_project.program(config({"a": "1"})).up()
    api.delete(made(cluster_project, api, "conf"), "Background")
    cluster_project.destroy()


def test_without_a_cluster_a_preview_works_and_an_update_names_server_and_kubeconfig(
    tmp_path: Path,
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "contexts: [{name: a, context: {cluster: a}}]\ncurrent-context: a\n"
    )
    project = Project(tmp_path, {"KUBECONFIG": str(kubeconfig)})
    project.program(config({"a": "1"}))
    assert project.preview() == {"create": 2}
    printed = project.fail("up", "--yes", "--skip-preview")
    where = f"cluster is unreachable: http://127.0.0.1:9 (kubeconfig {kubeconfig})"
    assert where in " ".join(printed.split())


def test_a_provider_takes_a_kubeconfig_as_contents_and_a_namespace(
    cluster_project: Project, plane: ControlPlane, api: Client, namespace: str
) -> None:
    program = K8S + (
        f"contents = open('{plane.kubeconfig}').read()\n"
        f"own = k8s.Provider('own', kubeconfig=contents, context='test', namespace='{namespace}')\n"
        "k8s.core.v1.ConfigMap('conf', metadata={'name': 'conf'}, data={'a': '1'},\n"
        "    opts=pulumi.ResourceOptions(provider=own))\n"
    )
    cluster_project.program(program).up()
    assert get(api, "ConfigMap", namespace, "conf")["data"] == {"a": "1"}
    assert cluster_project.steps() == {}


def test_a_preview_goes_through_before_the_kubeconfig_is_known(
    cluster_project: Project, plane: ControlPlane, api: Client, namespace: str
) -> None:
    program = K8S + (
        "import pulumi_random as random\n"
        "later = random.RandomString('later', length=4).result\n"
        f"path = later.apply(lambda _: {str(plane.kubeconfig)!r})\n"
        f"own = k8s.Provider('own', kubeconfig=path, namespace='{namespace}')\n"
        "k8s.core.v1.ConfigMap('conf', metadata={'name': 'conf'}, data={'a': '1'},\n"
        "    opts=pulumi.ResourceOptions(provider=own))\n"
    )
    cluster_project.program(program)
    assert cluster_project.preview() == {"create": 4}
    cluster_project.up()
    assert get(api, "ConfigMap", namespace, "conf")["data"] == {"a": "1"}


@pytest.mark.parametrize(
    ("declaration", "instead"),
    [
        ("k8s.core.v1.ConfigMapPatch('r', metadata={'name': 'a'})", "declare the object itself"),
        ("k8s.core.v1.ConfigMapList('r', items=[])", "Use the underlying resource type"),
        ("k8s.helm.v3.Release('r', chart='c')", "helm template"),
        ("k8s.helm.v4.Chart('r', chart='c')", "helm template"),
        ("k8s.kustomize.v2.Directory('r', directory='d')", "kubectl kustomize"),
        ("k8s.yaml.ConfigGroup('r', yaml='{kind: Pod}')", "use yaml/v2 ConfigFile"),
    ],
)
def test_what_is_not_covered_is_refused_by_name_with_what_to_use_instead(
    cluster_project: Project, declaration: str, instead: str
) -> None:
    printed = cluster_project.program(K8S + declaration).fail("preview")
    assert instead in printed, printed


def test_one_line_says_that_a_stand_in_is_in_use_and_why(cluster_project: Project) -> None:
    second = "k8s.core.v1.ConfigMap('other', opts=pulumi.ResourceOptions(provider=own))\n"
    own = "own = k8s.Provider('own', namespace='default')\n"
    cluster_project.program(config({"a": "1"}) + own + second)
    printed = cluster_project.run("preview").text
    line = "kubernetes: the lab's stand-in is in use, since the official pulumi-resource-kubernetes"
    diagnostics = printed[printed.index("Diagnostics:") :]
    assert diagnostics.count(line) == 1
