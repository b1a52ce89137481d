"""The logins of people and of jobs in MLflow, and what groups of people see in Kubernetes."""

import json
from typing import Any

import pytest
from pulumi.runtime.config import set_all_config
from ruamel.yaml import YAML

from components.mlflow_logins import MlflowLoginsArgs
from components.mlflow_server import MlflowServer
from infra.outputs import credentials
from infra.program import main
from preview.record import GENERATED
from tests.program.recorder import PINNED, ROOT, Build, Platform, Recorder, revealed

PEOPLE = {"ada": "data-scientist", "alan": "auditor", "grace": "engineer"}
NAME = "mlflow-logins"
Grants = set[tuple[str, str, str]]


def with_people(build: Build, people: dict[str, str]) -> Recorder:
    config = YAML(typ="safe", pure=True).load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    config["ferry:platform"]["people"] = people
    set_all_config({key: json.dumps(value) for key, value in config.items()})
    return build(main, "dev")


def told(seen: Recorder) -> dict[str, Any]:
    """The file of the Job that makes users."""
    return json.loads(seen.one("Secret", NAME)["stringData"]["logins.json"])


def grants(seen: Recorder, role: str) -> Grants:
    return {(kind, which, may) for kind, which, may in told(seen)["roles"][role]}


@pytest.fixture
def seen(platform: Platform) -> Recorder:
    return platform("dev", PINNED)


def test_each_of_the_people_has_a_generated_password_and_one_role(build: Build) -> None:
    users = told(with_people(build, PEOPLE))["users"]
    assert {name: user["role"] for name, user in users.items()} == {
        "ada": "data-scientist",
        "alan": "auditor",
        "grace": None,  # an administrator
        "jobs": "jobs",
    }
    assert {name: user["password"] for name, user in users.items()} == {
        name: f"{GENERATED}{NAME}-{name}" for name in users
    }


def test_a_persons_login_is_in_the_secret_output_and_that_of_jobs_is_not(build: Build) -> None:
    known = credentials(with_people(build, PEOPLE).outputs)
    assert {name: login.username for name, login in known.people.items()} == {
        name: name for name in PEOPLE
    }
    assert known.people["ada"].password == f"{GENERATED}{NAME}-ada"
    assert GENERATED not in repr(known)


def test_jobs_log_in_as_jobs_once_mlflow_knows_them_and_nobody_has_the_administrators(
    seen: Recorder,
) -> None:
    content = seen.one("Secret", "jobs-connection")["stringData"]
    assert content["MLFLOW_TRACKING_PASSWORD"] == f"{GENERATED}{NAME}-jobs"
    holding = {
        each.name
        for each in seen.resources
        if each.typ.endswith(":Secret") and f"{GENERATED}mlflow-admin" in str(revealed(each.inputs))
    }
    assert holding == {"mlflow", NAME}
    order = [f"{each.typ.rpartition(':')[2]} {each.name}" for each in seen.resources]
    made = order.index(f"Job {NAME}")
    assert order.index("Deployment mlflow") < made < order.index("Secret jobs-connection")


def test_jobs_may_write_to_the_models_with_a_road_alone_and_delete_nothing(seen: Recorder) -> None:
    given = {each for each in grants(seen, "jobs") if each[2] != "DENY"}
    assert given == {
        ("experiment", "credit-default", "EDIT"),
        ("registered_model", "credit-default", "EDIT"),
    }


@pytest.mark.parametrize("role", ["data-scientist", "auditor"])
def test_people_read_every_experiment_and_model_and_are_given_no_more(
    seen: Recorder, role: str
) -> None:
    given = grants(seen, role)
    assert {("experiment", "*", "READ"), ("registered_model", "*", "READ")} <= given
    assert {may for _, _, may in given} <= {"READ", "DENY"}


def test_an_auditors_own_things_stay_empty(seen: Recorder) -> None:
    """A grant of what is inside holds in experiments of its own as well."""
    inside = {"run", "logged_model", "registered_model_version", "trace", "assessment"}
    assert {(kind, "*", "READ") for kind in inside} <= grants(seen, "auditor")
    assert ("prompt", "*", "DENY") in grants(seen, "auditor")


def test_the_job_is_given_a_file_and_reaches_the_server_alone(seen: Recorder) -> None:
    spec = seen.one("Job", NAME)["spec"]["template"]
    (container,) = spec["spec"]["containers"]
    assert container["command"] == ["python", "/opt/mlflow/logins.py", "/etc/logins/logins.json"]
    assert {each["name"] for each in container["env"]} == {"HOME", "MLFLOW_DISABLE_TELEMETRY"}
    volumes = {each["name"]: each for each in spec["spec"]["volumes"]}
    assert volumes["logins"]["secret"]["secretName"] == f"{NAME}-auto"
    policy = seen.one("NetworkPolicy", NAME)["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= spec["metadata"]["labels"].items()
    assert policy["ingress"] == []
    (way,) = policy["egress"]
    (peer,) = way["to"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "mlflow"
    (door,) = seen.one("NetworkPolicy", f"mlflow-from-{NAME}")["spec"]["ingress"]
    (caller,) = door["from"]
    assert caller["podSelector"]["matchLabels"].items() <= spec["metadata"]["labels"].items()


def test_the_template_for_another_time_runs_the_same_and_never_by_itself(seen: Recorder) -> None:
    cron = seen.one("CronJob", NAME)["spec"]
    assert cron["suspend"] is True
    template = cron["jobTemplate"]["spec"]["template"]["spec"]
    assert template == seen.one("Job", NAME)["spec"]["template"]["spec"]


def test_other_people_are_another_job(build: Build, platform: Platform) -> None:
    before = platform("dev", PINNED).one("Job", NAME)["metadata"]["name"]
    after = with_people(build, PEOPLE).one("Job", NAME)["metadata"]["name"]
    assert before != after
    assert before.startswith(f"{NAME}-")


@pytest.mark.parametrize("people", [{"jobs": "auditor"}, {"admin": "engineer"}, {"ada": "boss"}])
def test_a_name_of_the_platforms_and_an_unknown_role_are_refused(people: dict[str, str]) -> None:
    server = MlflowServer.__new__(MlflowServer)
    with pytest.raises(ValueError, match="known roles and names of their own"):
        MlflowLoginsArgs(
            namespace="dev-platform", server_name="mlflow", server=server, people=people, models=[]
        )


def rights(seen: Recorder, group: str) -> dict[str, set[tuple[str, str]]]:
    """By namespace, what a group may do with what."""
    found: dict[str, set[tuple[str, str]]] = {}
    for binding in seen.of("RoleBinding"):
        for subject in binding["subjects"]:
            if (subject["kind"], subject["name"]) == ("Group", group):
                role = seen.one("Role", binding["roleRef"]["name"].removesuffix("-auto"))
                assert role["metadata"]["namespace"] == binding["metadata"]["namespace"]
                found[binding["metadata"]["namespace"]] = {
                    (what, verb)
                    for rule in role["rules"]
                    for what in rule["resources"]
                    for verb in rule["verbs"]
                }
    return found


def test_data_scientists_see_jobs_and_models_run_with_their_logs_and_nowhere_else(
    seen: Recorder,
) -> None:
    found = rights(seen, "ferry:dev:data-scientists")
    assert found.keys() == {"dev-jobs", "dev-models"}
    for namespace in found.values():
        assert {("jobs", "list"), ("cronjobs", "watch"), ("pods", "get"), ("pods/log", "get")} <= (
            namespace
        )
    assert ("rollouts", "watch") in found["dev-models"] - found["dev-jobs"]


def test_auditors_see_how_all_is_set_up_and_no_log(seen: Recorder) -> None:
    found = rights(seen, "ferry:dev:auditors")
    assert found.keys() == {f"dev-{role}" for role in ("platform", "monitoring", "models", "jobs")}
    looks = {"networkpolicies", "rolebindings", "serviceaccounts", "ingresses", "deployments"}
    for namespace in found.values():
        assert {(what, "list") for what in looks} <= namespace
        assert "pods/log" not in {what for what, _ in namespace}


@pytest.mark.parametrize("group", ["ferry:dev:data-scientists", "ferry:dev:auditors"])
def test_people_change_nothing_and_read_no_secret_and_no_configuration(
    seen: Recorder, group: str
) -> None:
    given = set().union(*rights(seen, group).values())
    assert {verb for _, verb in given} == {"get", "list", "watch"}
    assert not {what for what, _ in given} & {"secrets", "configmaps", "pods/exec", "pods/attach"}
