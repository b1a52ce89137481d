"""Dockerfiles are read as docker reads them."""

import pytest

from lab.standins.dockerfile import image_format, labelled, qualified


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("FROM a\nRUN SHELL x\n# HEALTHCHECK x", "oci"),
        ("FROM a\nRUN echo \\\nSHELL x", "oci"),
        ("FROM a\nRUN echo \\\n# a note\nSHELL x", "oci"),
        ("FROM a\n  healthcheck NONE", "docker"),
        ('FROM a\nRUN x\nSHELL ["/x"]', "docker"),
        ("FROM a\nONBUILD RUN x", "docker"),
    ],
)
def test_what_oci_cannot_hold_is_built_as_docker_has_it(text: str, kind: str) -> None:
    assert image_format(text) == kind


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("FROM python:3.11-slim", "FROM docker.io/library/python:3.11-slim"),
        ("from a/b as c", "from docker.io/a/b:latest as c"),
        ("FROM --platform=linux/amd64 a:1", "FROM --platform=linux/amd64 docker.io/library/a:1"),
        ("FROM r.test/a:1\nUSER 1\n", "FROM r.test/a:1\nUSER 1\n"),
        ("FROM scratch", "FROM scratch"),
        ("FROM $BASE\nFROM ${BASE}:1", "FROM $BASE\nFROM ${BASE}:1"),
        ("FROM a:1 AS b\nFROM b", "FROM docker.io/library/a:1 AS b\nFROM b"),
        ("FROM scratch\nRUN select \\\nFROM a", "FROM scratch\nRUN select \\\nFROM a"),
    ],
)
def test_the_names_of_bases_are_completed(text: str, complete: str) -> None:
    assert qualified(text) == complete


@pytest.mark.parametrize(
    ("text", "target", "complete"),
    [
        ("FROM a\nRUN x", None, 'FROM a\nRUN x\nLABEL "k"="v"'),
        ("FROM a AS b\nFROM c", None, 'FROM a AS b\nFROM c\nLABEL "k"="v"'),
        ("FROM a AS b\nRUN x\nFROM c", "b", 'FROM a AS b\nRUN x\nLABEL "k"="v"\nFROM c'),
        ("FROM a\nFROM c", "0", 'FROM a\nLABEL "k"="v"\nFROM c'),
    ],
)
def test_a_label_ends_the_stage_that_is_built(text: str, target: str, complete: str) -> None:
    assert labelled(text, ["k=v"], target) == complete


def test_a_label_says_what_it_says_to_the_letter() -> None:
    assert labelled("FROM a", ['k=a "b" $c=d'], None) == 'FROM a\nLABEL "k"="a \\"b\\" \\$c=d"'


def test_without_labels_the_text_stays() -> None:
    assert labelled("FROM a\n", [], None) == "FROM a\n"
