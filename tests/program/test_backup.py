"""Copies of MLflow's databases: what the two Jobs run, beside whom, and what they may touch."""

import hashlib
import json
import re
from typing import Any

import pytest
from pulumi.runtime.config import set_all_config
from ruamel.yaml import YAML

from components.mlflow.backup import PREFIX
from infra.accounts import BACKUP, grants
from infra.program import main
from infra.settings import SettingsError, parse
from lab.standins.build_context import Ignore, files, ignore_file
from tests.program.recorder import PINNED, ROOT, Build, Platform, Recorder

DEV = (ROOT / "Pulumi.dev.yaml").read_text()
BOTH = ["mlflow-backup", "mlflow-restore"]


def job(seen: Recorder, name: str) -> dict[str, Any]:
    return seen.one("CronJob", name)["spec"]


def pod(seen: Recorder, name: str) -> dict[str, Any]:
    return job(seen, name)["jobTemplate"]["spec"]["template"]["spec"]


def mounts(seen: Recorder, name: str) -> dict[str, dict[str, Any]]:
    (container,) = pod(seen, name)["containers"]
    return {each["name"]: each for each in container["volumeMounts"]}


def environment(seen: Recorder, name: str) -> dict[str, str]:
    (container,) = pod(seen, name)["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def test_a_copy_is_taken_when_the_stack_file_says_and_nothing_is_restored_by_the_clock(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    taken, restored = (job(seen, name) for name in BOTH)
    assert (taken["schedule"], taken["timeZone"]) == ("17 2 * * *", "Etc/UTC")
    assert (taken["suspend"], restored["suspend"]) == (False, True)
    assert taken["concurrencyPolicy"] == "Forbid"


def test_without_the_setting_there_is_no_job_and_no_account(build: Build) -> None:
    config = YAML(typ="safe", pure=True).load(DEV)["config"]
    del config["ferry:platform"]["backup"]
    set_all_config({key: json.dumps(value) for key, value in config.items()})
    seen = build(main, "dev")
    assert not {each["metadata"]["name"] for each in seen.of("CronJob")} & {*BOTH}
    users = json.loads(seen.one("Secret", "object-store")["stringData"]["users.json"])
    assert f"id-object-store-{BACKUP}-access" not in users["accessAccounts"]


@pytest.mark.parametrize("wrong", ['"0 2 * *"', "never", "null"])
def test_a_schedule_that_is_no_cron_line_is_a_complaint(wrong: str) -> None:
    text = re.sub(r"backup: \{schedule: [^}]*}", f"backup: {{schedule: {wrong}}}", DEV)
    with pytest.raises(SettingsError, match=r"ferry:platform\.backup\.schedule"):
        parse(text, stack="dev")


@pytest.mark.parametrize("name", BOTH)
def test_both_run_the_servers_image_on_the_servers_volume(platform: Platform, name: str) -> None:
    seen = platform("dev", PINNED)
    server = seen.one("Deployment", "mlflow")["spec"]["template"]["spec"]
    (container,) = pod(seen, name)["containers"]
    assert container["image"] == server["containers"][0]["image"]
    data = {each["name"]: each for each in server["volumes"]}["data"]
    assert data in pod(seen, name)["volumes"]
    assert container["command"][1] == "/opt/mlflow/backup.py"
    assert (
        "COPY backup.py databases.py logins.py /opt/mlflow/"
        in (ROOT / "components/mlflow/Dockerfile").read_text()
    )


def test_what_running_the_program_leaves_beside_it_is_no_change_of_the_image() -> None:
    context = ROOT / "components/mlflow"
    assert (context / "__pycache__").is_dir()  # this module imports it
    ignored = ignore_file(context, context / "Dockerfile")
    assert ignored is not None
    seen = {*files(context, Ignore(ignored.read_text().splitlines()))}
    assert seen == {"backup.py", "databases.py", "logins.py", "requirements.txt"}


def test_another_program_is_another_tag(platform: Platform) -> None:
    context = ROOT / "components/mlflow"
    names = ("Dockerfile", "requirements.txt", "backup.py", "databases.py", "logins.py")
    content = hashlib.sha256(b"".join((context / name).read_bytes() for name in names))
    tagged = platform("dev", PINNED).one("Image", "mlflow")["imageName"]
    assert tagged.endswith(f"-{content.hexdigest()[:12]}")


def test_whoever_takes_a_copy_cannot_write_to_the_volume_and_is_on_the_servers_node(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    assert mounts(seen, "mlflow-backup")["data"]["readOnly"] is True
    assert not mounts(seen, "mlflow-restore")["data"].get("readOnly")
    rule = pod(seen, "mlflow-backup")["affinity"]["podAffinity"]
    (term,) = rule["requiredDuringSchedulingIgnoredDuringExecution"]
    server = seen.one("Deployment", "mlflow")["spec"]["template"]["metadata"]["labels"]
    assert term["labelSelector"]["matchLabels"].items() <= server.items()
    # No server runs while a copy is put back.
    assert "affinity" not in pod(seen, "mlflow-restore")


def test_the_login_is_known_to_the_restoring_job_alone(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    files = seen.one("Deployment", "mlflow")["spec"]["template"]["spec"]["volumes"]
    (name,) = (each["secret"]["secretName"] for each in files if "secret" in each)
    for job_name, wanted in (("mlflow-backup", []), ("mlflow-restore", ["auth.ini"])):
        seen_items = [
            item["key"]
            for volume in pod(seen, job_name)["volumes"]
            if volume.get("secret", {}).get("secretName") == name
            for item in volume["secret"]["items"]
        ]
        assert seen_items == wanted


@pytest.mark.parametrize("name", BOTH)
def test_both_know_the_bucket_and_have_its_keys_as_a_file(platform: Platform, name: str) -> None:
    told = environment(platform("prod", PINNED), name)
    assert told["FERRY_BUCKET"] == "ferry-prod-a1b2c3d"
    assert told["FERRY_LOCK_DAYS"] == "365"
    folder = mounts(platform("prod", PINNED), name)["keys"]["mountPath"]
    assert told["AWS_SHARED_CREDENTIALS_FILE"] == f"{folder}/aws"


def test_a_refusal_is_final_and_what_hangs_ends(platform: Platform) -> None:
    for name in BOTH:
        spec = job(platform("dev", PINNED), name)["jobTemplate"]["spec"]
        (rule,) = spec["podFailurePolicy"]["rules"]
        assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2, 3])
        assert spec["activeDeadlineSeconds"] <= 900


def test_the_account_may_do_its_part_where_the_program_writes() -> None:
    settings = parse(DEV, stack="dev")
    assert [each.prefix for each in grants(settings.platform) if each.account == BACKUP] == [PREFIX]
