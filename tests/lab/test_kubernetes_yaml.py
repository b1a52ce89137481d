"""The components ConfigFile and ConfigGroup of yaml/v2, through the real engine."""

import pytest

from lab.standins.kubernetes.client import Client
from tests.lab.project import Project
from tests.lab.test_kubernetes_standin import K8S, get, made

pytestmark = pytest.mark.lab

CRD_AND_ITS_OBJECT = """
apiVersion: test.ferry/v1
kind: Gear
metadata: {name: first, namespace: NAMESPACE-own}
spec: {teeth: 12}
---
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE-own}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: GROUP}
spec:
  group: test.ferry
  names: {plural: gears, singular: gear, kind: Gear}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          x-kubernetes-preserve-unknown-fields: true
"""


def test_a_group_takes_files_patterns_text_and_objects(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    for name in ("one", "two"):
        manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"
        (cluster_project.folder / f"{name}.yaml").write_text(f"---\n{manifest}---\n")
    listed = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: ServiceAccount, metadata: {name: three}}\n"
    )
    program = K8S + (
        "four = {'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'four'}}\n"
        f"group = k8s.yaml.v2.ConfigGroup('group', files=['*.yaml'], yaml={listed!r},\n"
        "    objs=[four])\n"
        "pulumi.export('names', group.resources.apply(\n"
        "    lambda found: sorted(each['metadata']['name'] if isinstance(each, dict)\n"
        "        else type(each).__name__ for each in found)))\n"
    )
    cluster_project.program(program.replace("'*.yaml'", "'one.y*ml', 'two.yaml'")).up()
    for kind, name in (
        ("ConfigMap", "one"),
        ("ConfigMap", "two"),
        ("ServiceAccount", "three"),
        ("ConfigMap", "four"),
    ):
        assert get(api, kind, namespace, name)
        child = cluster_project.resource(f"group:{namespace}/{name}")
        assert child["parent"].endswith("kubernetes:yaml/v2:ConfigGroup::group")
    assert len(cluster_project.output("names")) == 4
    assert cluster_project.steps() == {}


def test_kinds_and_namespaces_come_before_what_needs_them(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    text = CRD_AND_ITS_OBJECT.replace("NAMESPACE", namespace).replace("GROUP", "gears.test.ferry")
    (cluster_project.folder / "gears.yaml").write_text(text)
    program = K8S + "k8s.yaml.v2.ConfigFile('gears', file='gears.yaml', resource_prefix='')\n"
    cluster_project.program(program)
    assert cluster_project.preview() == {"create": 5}
    cluster_project.up()
    gear = made(cluster_project, api, f"{namespace}-own/first")
    assert gear["spec"] == {"teeth": 12}
    assert cluster_project.steps() == {}
    changed = text.replace("teeth: 12", "teeth: 24")
    (cluster_project.folder / "gears.yaml").write_text(changed)
    cluster_project.up()
    assert api.get(gear)["spec"] == {"teeth": 24}
    (cluster_project.folder / "gears.yaml").write_text("")
    cluster_project.up()
    assert [each["type"] for each in cluster_project.resources("kubernetes:")] == [
        "kubernetes:yaml/v2:ConfigFile"
    ]


def test_children_use_the_provider_of_the_component(
    cluster_project: Project, api: Client, namespace: str
) -> None:
    text = "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: hunter2}}"
    program = K8S + (
        f"own = k8s.Provider('own', namespace='{namespace}')\n"
        f"k8s.yaml.v2.ConfigGroup('group', yaml={text!r},\n"
        "    opts=pulumi.ResourceOptions(provider=own))\n"
    )
    cluster_project.run("config", "rm", "kubernetes:namespace")
    cluster_project.program(program).up()
    assert get(api, "Secret", namespace, "s")
    assert "::own::" in cluster_project.resource(f"group:{namespace}/s")["provider"]
    assert "hunter2" not in cluster_project.state()


def test_what_is_no_object_is_refused_by_what_it_lacks(cluster_project: Project) -> None:
    group = K8S + "k8s.yaml.v2.ConfigGroup('group', yaml={!r})\n"
    for text, words in (
        ("{a: 1}", "require a kind and apiVersion: {'a': 1}"),
        ("{apiVersion: v1, kind: Pod}", "require a .metadata.name"),
        ("a: [", "group: yaml is not YAML"),
    ):
        assert words in cluster_project.program(group.format(text)).fail("preview")
    missing = K8S + "k8s.yaml.v2.ConfigFile('f', file='missing.yaml')\n"
    printed = cluster_project.program(missing).fail("preview")
    assert "missing.yaml: No such file or directory" in printed


def test_a_child_that_fails_fails_the_update_with_its_own_words(cluster_project: Project) -> None:
    text = "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 70000}]}}"
    program = K8S + f"k8s.yaml.v2.ConfigGroup('group', yaml={text!r})\n"
    printed = cluster_project.program(program).fail("up", "--yes", "--skip-preview")
    assert "Invalid value: 70000" in printed
