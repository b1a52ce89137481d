"""What a program sees of the stand-in for the provider `random`, through the real engine."""

import re
from pathlib import Path

import bcrypt
import pytest

from tests.lab.project import Project

pytestmark = pytest.mark.lab

_PROGRAM = """
    import pulumi
    import pulumi_random as random

    password = random.RandomPassword("password", length=20, special=False{more})
    identity = random.RandomId("identity", byte_length=4, prefix="p-")
    text = random.RandomString("text", length=6, upper=False, special=False)
    pulumi.export("password", password.result)
    pulumi.export("hash", password.bcrypt_hash)
    pulumi.export("identity", [identity.hex, identity.b64_url, identity.dec])
    pulumi.export("text", text.result)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_values_are_drawn_once_and_stay(project: Project) -> None:
    project.program(_PROGRAM.format(more=""))
    assert project.preview() == {"create": 4}
    project.up()
    password = project.output("password")
    assert re.fullmatch(r"[A-Za-z0-9]{20}", password)
    assert bcrypt.checkpw(password.encode(), project.output("hash").encode())
    hexadecimal, _, decimal = project.output("identity")
    assert int(hexadecimal.removeprefix("p-"), 16) == int(decimal.removeprefix("p-"))
    assert re.fullmatch(r"[a-z0-9]{6}", project.output("text"))

    project.refresh()
    assert project.preview() == {}
    # What is so by default may be said as well.
    project.program(_PROGRAM.format(more=", lower=True"))
    project.up()
    assert project.output("password") == password

    project.program(_PROGRAM.format(more=', keepers={"turn": "2"}'))
    assert project.preview() == {"replace": 1}
    project.up()
    assert project.output("password") != password
    project.destroy()
    assert project.resources("random:") == []


def test_a_password_is_never_in_state_in_clear(project: Project) -> None:
    project.program(_PROGRAM.format(more="")).up()
    assert project.output("password") not in project.state()
    assert project.output("hash") not in project.state()


def test_a_password_can_be_adopted(project: Project) -> None:
    more = ', opts=pulumi.ResourceOptions(import_="adopted-Password-123")'
    program = _PROGRAM.format(more=more).replace("special=False", "", 1).replace("20, ", "20")
    project.program(program).up()
    assert project.output("password") == "adopted-Password-123"
    (password,) = project.resources("randomPassword")
    # The engine itself keeps what a program gives as `import_`; the rest is ours.
    assert password.pop("importID") == "adopted-Password-123"
    assert "adopted-Password-123" not in str(password)


def test_what_is_not_covered_is_refused_by_name(project: Project) -> None:
    project.program("import pulumi_random as r\nr.RandomPet('pet')")
    assert "random:index/randomPet:RandomPet" in project.run("up", "--yes").text


def test_an_impossible_length_is_refused_before_anything_is_made(project: Project) -> None:
    project.program("import pulumi_random as r\nr.RandomPassword('p', length=2, min_upper=3)")
    assert "length is 2, less than minLower 0 + minUpper 3" in project.run("preview").text
