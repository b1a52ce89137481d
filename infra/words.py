"""The kinds of text and number that settings hold, each with the words that ask for it."""

import re
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic import Strict as Exact
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """A block of settings: camelCase in YAML, unknown keys refused, never changed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


# Host names under the stack's domain, and images in its registry, that are the platform's own.
RESERVED = frozenset({"alertmanager", "grafana", "jobs", "mlflow", "prometheus", "registry", "s3"})
# Users of MLflow that the platform has itself.
USERS = frozenset({"admin", "jobs"})


def _not_reserved(name: str) -> str:
    if name.endswith("-grpc"):
        text = "a name that does not end in -grpc: so ends the host of a model's gRPC"
        raise PydanticCustomError("expected", text)
    if name in RESERVED:
        names = ", ".join(sorted(RESERVED))
        raise PydanticCustomError("expected", "a name other than {names}", {"names": names})
    return name


def _not_ours(name: str) -> str:
    if name in USERS:
        words = f"a name other than {', '.join(sorted(USERS))}: the platform logs in as these"
        raise PydanticCustomError("expected", "{words}", {"words": words})
    return name


def _ascending(steps: tuple[int, ...]) -> tuple[int, ...]:
    if list(steps) != sorted(set(steps)):
        raise PydanticCustomError("expected", "percentages in ascending order, none twice")
    return steps


# Minute, hour, day of the month, month, day of the week: least and most.
_CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def _cron(line: str) -> str:
    fields = line.split(" ")
    if len(fields) != len(_CRON) or not all(map(_cron_field, fields, _CRON)):
        words = 'minute, hour, day, month and weekday in numbers, like "0 2 * * *"'
        raise PydanticCustomError("expected", "{words}", {"words": words})
    return line


def _cron_field(field: str, bounds: tuple[int, int]) -> bool:
    for part in field.split(","):
        found = re.fullmatch(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([1-9][0-9]?))?", part)
        if found is None:
            return False
        first, last, _ = found.groups()
        if first is not None and not bounds[0] <= int(first) <= int(last or first) <= bounds[1]:
            return False
    return True


def _matching(pattern: str, words: str) -> AfterValidator:
    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise PydanticCustomError("expected", "{words}", {"words": words})
        return text

    return AfterValidator(check)


_Text = Annotated[str, Exact()]
Digest = Annotated[_Text, _matching("sha256:[0-9a-f]{64}", "sha256: and 64 hex digits")]
Signer = Annotated[
    _Text, _matching("sha256:[0-9a-f]{64}|keyless", "sha256: and 64 hex digits, or keyless")
]
Sha256 = Annotated[_Text, _matching("[0-9a-f]{64}", "64 hex digits")]
Commit = Annotated[_Text, _matching("[0-9a-f]{40}", "a commit, 40 hex digits")]
Run = Annotated[_Text, _matching("[0-9a-f]{32}", "an MLflow run, 32 hex digits")]
Word = Annotated[_Text, _matching(r"\S+", "a text without blanks")]
Label = Annotated[
    _Text,
    _matching("[a-z]([a-z0-9-]{0,38}[a-z0-9])?", "at most 40 of a-z, 0-9 and -, a letter first"),
]
ModelName = Annotated[Label, AfterValidator(_not_reserved)]
Person = Annotated[Label, AfterValidator(_not_ours)]
Part = Literal["data-scientist", "auditor", "engineer"]
"""What a person is to a stack; docs/access.md says what each may do."""
Environment = Annotated[
    _Text, _matching("[a-z][a-z0-9]{0,15}", "at most 16 of a-z and 0-9, a letter first")
]
Domain = Annotated[
    _Text,
    _matching(
        r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", "a domain like dev.example.org"
    ),
]
Cpu = Annotated[
    _Text,
    _matching(
        r"[1-9][0-9]*m|[1-9][0-9]*(\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9]", 'CPUs like "500m" or "2"'
    ),
]
Memory = Annotated[_Text, _matching("[1-9][0-9]*([KMGT]i|[kMGT])", "memory like 256Mi")]
Duration = Annotated[_Text, _matching("[1-9][0-9]*[smhdw]", "a duration like 10m or 7d")]
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def seconds(duration: str) -> int:
    """How long a `Duration` is."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


Schedule = Annotated[_Text, AfterValidator(_cron)]
SecretName = Annotated[
    _Text, _matching("[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "the name of a secret, not its value")
]
Server = Annotated[
    _Text,
    _matching(
        r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}:[1-9][0-9]{0,4}",
        "a server and its port, like smtp.example.org:587",
    ),
]
Address = Annotated[
    _Text, _matching(r"[A-Za-z0-9._%+-]+@([a-z0-9-]+\.)+[a-z]{2,63}", "one address of mail")
]
Flag = Annotated[bool, Exact()]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1, le=1000)]
Percent = Annotated[int, Field(strict=True, ge=1, le=100)]
Region = Annotated[_Text, _matching("[a-z]{2}(-[a-z]+)+-[1-9]", "a region like eu-west-1")]
Account = Annotated[_Text, _matching("[0-9]{12}", "an account, 12 digits in quotes")]
_ARN = "arn:aws:"
Role = Annotated[_Text, _matching(_ARN + "iam::[0-9]{12}:role/[\\w+=,.@/-]+", "the ARN of a role")]
Principal = Annotated[
    _Text,
    _matching(_ARN + "iam::[0-9]{12}:(role|user)/[\\w+=,.@/-]+", "the ARN of a role or a user"),
]
EncryptionKey = Annotated[
    _Text, _matching(_ARN + "kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-f-]+", "the ARN of a key of KMS'")
]
Certificate = Annotated[
    _Text,
    _matching(_ARN + "acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+", "a certificate's ARN"),
]
Repository = Annotated[_Text, _matching("[\\w.-]+/[\\w.-]+", "a repository: owner/name")]
Version = Annotated[_Text, _matching(r"1\.[0-9]{2}", 'a version in quotes, like "1.34"')]


def _addresses(text: str) -> str:
    try:
        found = ip_network(text)
    except ValueError:
        found = None
    if found is None or found.prefixlen == 0:
        words = "addresses like 192.0.2.0/24, not all of them"
        raise PydanticCustomError("expected", "{words}", {"words": words})
    return text


def _network(text: str) -> str:
    found = ip_network(_addresses(text))
    if found.version != 4 or not found.is_private or not 16 <= found.prefixlen <= 20:
        raise PydanticCustomError("expected", "private addresses, from a /16 to a /20")
    return text


Cidr = Annotated[_Text, AfterValidator(_addresses)]
Network = Annotated[_Text, AfterValidator(_network)]
Steps = Annotated[
    tuple[Annotated[int, Field(strict=True, ge=1, le=99)], ...],
    Field(min_length=1),
    AfterValidator(_ascending),
]
