"""Settings: what a stack file may say, and how everything wrong with it is said at once."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from infra.models import Canary, Road
from infra.settings import Pin, Platform, Settings, SettingsError, parse

ROOT = Path(__file__).parents[2]
DIGEST = "sha256:" + "1" * 64
PLATFORM = """\
config:
  ferry:platform:
    environment: dev
    foundation: {kind: cluster, context: null}
    objectStore: {lacks: [encryption]}
    ingress: {class: traefik, domain: dev.ferry.test}
    data: {keep: false, lockDays: 1}
    models:
      credit-default:
        scaling: {minimum: 1, maximum: 3, cpuPercent: 70}
        resources: {cpu: 500m, memory: 256Mi, gpu: 0}
        delivery: {kind: canary, steps: [10, 50], minimumRequests: 300, deadline: 10m}
        gates: {minimumAuc: 0.65, maximumFairnessGap: 0.10}
        road: {schedule: "30 2 * * 1-5"}
"""
PINS = f"""\
  ferry:pins:
    credit-default:
      version: 7
      run: {"3f" * 16}
      image: {DIGEST}
      weights: {DIGEST}
      signer: {DIGEST}
      data: {{key: data/loans.parquet, versionId: v1, sha256: {"a" * 64}}}
      features: {DIGEST}
      commit: {"9a" * 20}
      evidence: {DIGEST}
"""


def complaints(text: str, stack: str = "dev") -> list[str]:
    """What the parser says of `text`, without the heading."""
    with pytest.raises(SettingsError) as refused:
        parse(text, stack=stack, file="Pulumi.dev.yaml")
    heading, *lines = str(refused.value).splitlines()
    assert heading.split()[0] == str(len(lines))
    return lines


def changed(old: str, new: str) -> str:
    text = PLATFORM + PINS
    assert text.count(old) == 1
    return text.replace(old, new)


def test_a_whole_file_becomes_typed_values() -> None:
    settings = parse(PLATFORM + PINS, stack="dev")
    model = settings.model("credit-default")
    assert settings.pins["credit-default"].version == 7
    assert settings.pins["credit-default"].data.version_id == "v1"
    assert isinstance(model.delivery, Canary)
    assert model.delivery.steps == (10, 50)
    assert model.road is not None
    assert model.road.schedule == "30 2 * * 1-5"
    assert (model.road.retrain, model.road.cooldown) == ("0 3 * * 1", "24h")
    assert (model.road.request_sample, model.road.window) == (0.1, "1h")
    assert settings.platform.object_store.lacks == {"encryption"}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_stack_files_of_the_repository_are_usable(stack: str) -> None:
    settings = parse((ROOT / f"Pulumi.{stack}.yaml").read_text(), stack=stack)
    assert settings.platform.environment == stack


def test_a_model_may_have_a_pin_and_no_settings_or_settings_and_no_pin() -> None:
    assert parse(PLATFORM, stack="dev").pins == {}
    alone = parse(
        changed("    credit-default:\n      version", "    other:\n      version"), stack="dev"
    )
    assert alone.model("other").scaling.minimum == 2
    assert alone.model("other").road is None


def test_settings_cannot_be_changed() -> None:
    settings = parse(PLATFORM, stack="dev")
    with pytest.raises(ValueError, match="frozen"):
        settings.platform.environment = "prod"  # ty: ignore[invalid-assignment]


def test_everything_wrong_is_said_at_once_in_the_order_of_the_file() -> None:
    text = (
        (PLATFORM + PINS).replace("lockDays: 1", "lockDay: 1").replace("version: 7", "version: 0")
    )
    assert complaints(text.replace("cpuPercent: 70", "cpuPercent: 170")) == [
        "Pulumi.dev.yaml:7: ferry:platform.data.lockDay: found an unknown key, "
        "expected one of keep, lockDays; did you mean lockDays?",
        "Pulumi.dev.yaml:7: ferry:platform.data.lockDays: found nothing, expected a value",
        "Pulumi.dev.yaml:10: ferry:platform.models.credit-default.scaling.cpuPercent: "
        "found 170, expected at most 100",
        "Pulumi.dev.yaml:17: ferry:pins.credit-default.version: found 0, expected at least 1",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("environment: dev", "environment: prod", "3: ferry:platform.environment: found 'prod'"),
        ("minimum: 1,", "minimum: 4,", "scaling: found {'cpuPercent': 70, "),
        ("minimum: 1,", "minimum: 0,", "scaling.minimum: found 0, expected at least 1"),
        ("minimum: 1,", "minimum: true,", "found True, expected a whole number"),
        ("maximum: 3", "maximum: '3'", "found '3', expected a whole number"),
        ("cpuPercent: 70", "cpuPercent: 0", "found 0, expected at least 1"),
        ("cpuPercent: 70", "cpu_percent: 70", "did you mean cpuPercent?"),
        ("[10, 50]", "[50, 10]", "expected percentages in ascending order"),
        ("[10, 50]", "[10, 10]", "none twice"),
        ("[10, 50]", "[10, 100]", "steps[1]: found 100, expected at most 99"),
        ("[10, 50]", "[0, 10]", "steps[0]: found 0, expected at least 1"),
        ("[10, 50]", "[]", "steps: found [], expected at least 1"),
        (
            "kind: canary",
            "kind: canarie",
            "found 'canarie', expected 'rolling', 'canary', 'blueGreen'; did you mean canary?",
        ),
        ("kind: cluster,", "kind: aws,", "ferry:platform.foundation.region: found nothing"),
        ("{kind: cluster, context: null}", "{}", "expected a mapping with the key kind"),
        ("[encryption]", "[encription]", "lacks[0]: found 'encription'"),
        (
            'schedule: "30 2 * * 1-5"',
            "schedule: nightly",
            "road.schedule: found 'nightly', expected",
        ),
        ('"30 2 * * 1-5"', '"30 24 * * *"', "expected minute, hour, day, month and weekday"),
        ('"30 2 * * 1-5"', '"30 2 * *"', "expected minute, hour, day, month and weekday"),
        ('"30 2 * * 1-5"', '"@daily"', "expected minute, hour, day, month and weekday"),
        ('{schedule: "30 2 * * 1-5"}', "{}", "road.schedule: found nothing, expected a value"),
        ('{schedule: "30 2 * * 1-5"}', "{schedul: x}", "did you mean schedule?"),
        ('* * 1-5"}', '* * 1-5", retrain: weekly}', "retrain: found 'weekly', expected minute"),
        ('* * 1-5"}', '* * 1-5", cooldown: 1}', "cooldown: found 1, expected a text"),
        ('* * 1-5"}', '* * 1-5", requestSample: 2}', "requestSample: found 2, expected at most 1"),
        ('* * 1-5"}', '* * 1-5", window: 59s}', "expected a window of at least 1m"),
        ("keep: false", "keep: 'no'", "found 'no', expected true or false"),
        ("gates: {", "gates: {minimumAUC: 1, ", "did you mean minimumAuc?"),
        ("minimumAuc: 0.65", "minimumAuc: 1.5", "found 1.5, expected at most 1"),
        ("minimumAuc: 0.65", "minimumAuc: .nan", "expected"),
        ("domain: dev.ferry.test", "domain: http://x", "expected a domain like dev.example.org"),
        ("cpu: 500m", "cpu: 0", "cpu: found 0, expected a text"),
        ("memory: 256Mi", "memory: lots", "expected memory like 256Mi"),
        (f"image: {DIGEST}", "image: latest", "found 'latest', expected sha256: and 64 hex digits"),
        (f"      image: {DIGEST}\n", "", "image: found nothing, expected a value"),
        (f"commit: {'9a' * 20}", "commit: 9ac1", "expected a commit, 40 hex digits"),
        ("version: 7", "version: 1.5", "found 1.5, expected a whole number"),
        ("  ferry:pins:", "  ferry:pin:", "did you mean ferry:pins?"),
        (
            "    models:",
            "    mlflow: {database: rds}\n    models:",
            "a foundation of kind cluster has no RDS",
        ),
        (
            "    models:",
            "    features: {store: elasticache}\n    models:",
            "a foundation of kind cluster has no ElastiCache",
        ),
        (
            "    models:",
            f"    signers: ['sha256:{'2' * 64}']\n    models:",
            "signer: found 'sha256:1111",
        ),
        ("    models:", "    below: dev\n    models:", "expected another stack"),
        (
            "      credit-default:\n        scaling",
            "      mlflow:\n        scaling",
            "expected a name other than",
        ),
        (
            "      credit-default:\n        scaling",
            "      jobs:\n        scaling",
            "expected a name other than",
        ),
        (
            "      credit-default:\n        scaling",
            "      credit-default-grpc:\n        scaling",
            "expected a name that does not end in -grpc",
        ),
        (
            "      credit-default:\n        scaling",
            "      Credit_Default:\n        scaling",
            "a letter first",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_is_expected(old: str, new: str, said: str) -> None:
    lines = complaints(changed(old, new))
    assert any(said in line for line in lines)
    assert all(line.startswith("Pulumi.dev.yaml:") for line in lines)


def test_a_secret_given_for_its_name_is_not_repeated() -> None:
    text = changed(
        "    models:", "    monitoring: {receivers: {slack: 'https://x/token'}}\n    models:"
    )
    (line,) = complaints(text)
    assert "token" not in line
    assert "expected the name of a secret, not its value" in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: [", "Pulumi.dev.yaml:1: config: found no YAML"),
        ("a: 1\na: 2\n", "Pulumi.dev.yaml:2: config: found no YAML"),
        ("", "Pulumi.dev.yaml: config: found no mapping"),
        ("config: {}", "ferry:platform: found nothing"),
        ("config: {ferry:platform: 3}", "ferry:platform: found 3, expected a mapping"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(text: str, said: str) -> None:
    assert said in complaints(text)[0]


def test_settings_of_other_projects_in_the_file_are_not_ours() -> None:
    text = PLATFORM + "  aws:region: eu-west-1\n  ferryman:platform: {}\n"
    assert parse(text, stack="dev") == parse(PLATFORM, stack="dev")


_keys = st.one_of(st.text(max_size=8), st.integers(), st.none(), st.booleans())
_leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12))
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=12,
)


@given(st.one_of(st.text(), st.text(alphabet="config: {}[]&*!'\"\n-ferry?|>@0.9:=<", max_size=60)))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse(text, stack="dev", file="f")


@given(st.dictionaries(st.sampled_from(["ferry:platform", "ferry:pins", "ferry:x"]), _values))
def test_any_mapping_is_parsed_or_refused(config: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        parse(config, stack="dev")


def _mappings(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:  # noqa: ANN401
    """The paths of the mappings whose keys are ours to name."""
    if not isinstance(value, dict):
        return []
    inside = [each for key in value for each in _mappings(value[key], (*path, key))]
    named_by_people = path[-1:] in {("models",), ("ferry:pins",)}
    return inside if named_by_people else [path, *inside]


_CONFIG = YAML(typ="safe", pure=True).load(PLATFORM + PINS)["config"]


@given(
    st.sampled_from([path for path in _mappings(_CONFIG) if path]),
    st.text("abcdefghijklmnopqrstuvwxyzABC_-", min_size=1),
)
def test_every_unknown_key_is_named_with_its_path(path: tuple[str, ...], key: str) -> None:
    config = YAML(typ="safe", pure=True).load(PLATFORM + PINS)["config"]
    place = config
    for part in path:
        place = place[part]
    if key in {"mlflow", "monitoring"} or key in place:
        return
    place[key] = 1
    with pytest.raises(SettingsError) as refused:
        parse(config, stack="dev")
    (complaint,) = refused.value.complaints
    assert complaint.path == (*path, key)
    assert complaint.found == "an unknown key"


@given(
    st.builds(lambda low, more: (low, low + more), st.integers(1, 500), st.integers(0, 500)),
    st.integers(1, 100),
    st.lists(st.integers(1, 99), min_size=1, unique=True),
)
def test_valid_settings_survive(bounds: tuple[int, int], percent: int, steps: list[int]) -> None:
    config = YAML(typ="safe", pure=True).load(PLATFORM + PINS)["config"]
    model = config["ferry:platform"]["models"]["credit-default"]
    model["scaling"] = {"minimum": bounds[0], "maximum": bounds[1], "cpuPercent": percent}
    model["delivery"]["steps"] = sorted(steps)
    settings = parse(config, stack="dev")
    again = Settings.model_validate(settings.model_dump(mode="json", by_alias=True))
    assert again == settings
    assert settings.model("credit-default").scaling.maximum == bounds[1]


_PARTS = st.one_of(
    st.just("*"),
    st.integers(1, 6).map(str),
    st.tuples(st.integers(1, 3), st.integers(3, 6)).map(lambda both: f"{both[0]}-{both[1]}"),
)
_FIELDS = st.lists(
    st.builds(
        lambda part, step: f"{part}/{step}" if step else part,
        _PARTS,
        st.one_of(st.none(), st.integers(1, 99)),
    ),
    min_size=1,
    max_size=3,
).map(",".join)


@given(st.lists(_FIELDS, min_size=5, max_size=5).map(" ".join))
def test_a_schedule_of_lists_ranges_and_steps_is_one(line: str) -> None:
    assert Road(schedule=line).schedule == line


@given(
    st.integers(0, 4),
    st.sampled_from(["60", "-1", "5-2", "1-60", "*-3", "x", "", "*/0", "1/", "mon", "1 ", "٣"]),
)
def test_a_schedule_with_one_bad_field_is_none(place: int, bad: str) -> None:
    fields = ["*"] * 5
    fields[place] = bad
    with pytest.raises(ValueError, match="minute, hour, day, month and weekday"):
        Road(schedule=" ".join(fields))


@pytest.mark.parametrize("line", ["59 23 31 12 6", "0 0 1 1 0", "*/5 * * * *", "0 0,12 1-7 * 1-5"])
def test_the_ends_of_every_field_are_in(line: str) -> None:
    assert Road(schedule=line).schedule == line


@pytest.mark.parametrize(
    "line", ["0 0 0 1 0", "0 0 1 0 0", "0 0 32 1 0", "0 0 1 13 0", "0 0 1 1 7"]
)
def test_what_is_past_the_ends_is_out(line: str) -> None:
    with pytest.raises(ValueError, match="weekday"):
        Road(schedule=line)


def with_people(who: str) -> str:
    return PLATFORM.replace("    models:\n", f"    people: {who}\n    models:\n")


def test_people_have_a_name_and_one_part_and_there_need_be_none() -> None:
    assert parse(PLATFORM, stack="dev").platform.people == {}
    found = parse(with_people("{ada: auditor, grace: engineer}"), stack="dev").platform.people
    assert found == {"ada": "auditor", "grace": "engineer"}


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (
            "{admin: engineer}",
            "people.admin: found 'admin', expected a name other than admin, jobs",
        ),
        ("{jobs: auditor}", "people.jobs: found 'jobs', expected a name other than admin, jobs"),
        ("{Ada: auditor}", "people.Ada: found 'Ada', expected at most 40 of a-z, 0-9 and -"),
        ("{'system:masters': auditor}", "expected at most 40 of a-z, 0-9 and -"),
        ("{ada@bank.example: auditor}", "expected at most 40 of a-z, 0-9 and -"),
        ("{ada: boss}", "people.ada: found 'boss', expected 'data-scientist', 'auditor' or 'eng"),
        ("{ada: [auditor]}", "people.ada: found ['auditor'], expected 'data-scientist', 'audit"),
        ("[ada]", "ferry:platform.people: found ['ada'], expected a mapping"),
    ],
)
def test_people_who_cannot_be_are_a_complaint_with_key_and_line(who: str, said: str) -> None:
    (complaint,) = complaints(with_people(who))
    assert complaint.startswith("Pulumi.dev.yaml:8: ferry:platform.people")
    assert said in complaint


def test_a_pin_is_written_as_it_is_read() -> None:
    raw = _CONFIG["ferry:pins"]["credit-default"]
    assert Pin.model_validate(raw).model_dump(mode="json", by_alias=True) == raw


def test_platform_has_no_key_that_the_contract_does_not_name() -> None:
    assert {field.alias for field in Platform.model_fields.values()} == {
        "environment",
        "foundation",
        "objectStore",
        "below",
        "backup",
        "signers",
        "ingress",
        "data",
        "mlflow",
        "features",
        "monitoring",
        "people",
        "models",
    }
