"""The command `docker` where there is no container engine: what a build needs, over buildah."""

import argparse
import json
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NoReturn

from lab.standins import build_context, buildah, dockerfile, reference, template

NAME: Final = "the lab's stand-in for docker, over buildah"
_REFUSED: Final = 125  # docker's own code for "the docker command itself failed"
_COVERED: Final = (
    "build, push, login, logout, tag, inspect, image inspect, images, rmi, version, info"
)


class Refused(Exception):
    """Something that docker does and this command does not."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(f"{self.prog}: {message}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one docker command; its exit code (125: refused or unusable)."""
    try:
        given = _parser().parse_args(arguments)
        run: Callable[[argparse.Namespace], int] = given.run
        return run(given)
    except Refused as refusal:
        print(f"{refusal}\nThis is {NAME}; it covers: {_COVERED}.", file=sys.stderr)
    except (buildah.BuildahMissing, ValueError) as error:
        print(f"docker: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return _REFUSED


def _build(given: argparse.Namespace) -> int:
    context = Path(given.context)
    if not context.is_dir():
        raise Refused(f"docker build: {given.context!r} is no folder; no other context is covered")
    file = Path(given.file or context / "Dockerfile")
    if not file.is_file():
        raise ValueError(f"there is no Dockerfile {file}")
    text = file.read_text(encoding="utf-8")
    names = [reference.parse(name).tagged for name in given.tag]
    engine = buildah.Buildah(name.host for name in names if name.is_loopback)
    options = [f"--tag={name}" for name in names]
    options += [f"--build-arg={each}" for each in given.build_arg]
    if ignored := build_context.ignore_file(context, file):
        options.append(f"--ignorefile={ignored}")
    for flag in ("target", "iidfile", "platform"):
        if value := getattr(given, flag):
            options.append(f"--{flag}={value}")
    with engine.trust() as trust, TemporaryDirectory(prefix="ferry-build-") as folder:
        completed = Path(folder, "Dockerfile")
        labelled = dockerfile.labelled(dockerfile.qualified(text), given.label, given.target)
        completed.write_text(labelled, encoding="utf-8")
        return engine.run(
            *("build", "--isolation", "chroot", "--network", "host", "--layers", *trust),
            # The same content gives the same digest: no time, no version of the builder.
            *("--timestamp", "0", "--identity-label=false"),
            *("--format", dockerfile.image_format(text)),
            # What a failed build leaves is of no use to anyone.
            *("--force-rm", f"--file={completed}"),
            *("--no-cache",) * given.no_cache,
            *(*options, str(context)),
        )


def _push(given: argparse.Namespace) -> int:
    name = reference.parse(given.reference).tagged
    engine = _engine(name)
    image = _id(engine, str(name))
    if image is None:
        print(f"An image does not exist locally with the tag: {name.repository}", file=sys.stderr)
        return 1
    print(f"The push refers to repository [{name.repository}]", flush=True)
    with TemporaryDirectory(prefix="ferry-push-") as folder:
        file = Path(folder, "digest")
        flags = ["--format", "v2s2", "--digestfile", str(file)]
        if code := engine.run("push", *flags, str(name), f"docker://{name}"):
            return code
        digest = file.read_text(encoding="utf-8").strip()
    engine.remember(image, name.repository, digest)
    print(f"{name.tag}: digest: {digest}")
    return 0


def _login(given: argparse.Namespace) -> int:
    if not (given.username and given.password_stdin):
        raise Refused("docker login: only -u USER --password-stdin is covered")
    host = reference.server(given.server)
    engine = buildah.Buildah([host] if reference.Reference(host, "").is_loopback else [])
    file = buildah.authentication_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return engine.run(
        *("login", "--authfile", str(file), "-u", given.username, "--password-stdin", host)
    )


def _logout(given: argparse.Namespace) -> int:
    file = str(buildah.authentication_file())
    return buildah.Buildah().run("logout", "--authfile", file, reference.server(given.server))


def _tag(given: argparse.Namespace) -> int:
    new = str(reference.parse(given.target).tagged)
    return buildah.Buildah().run("tag", _local(given.source), new)


def _inspect(given: argparse.Namespace) -> int:
    engine = buildah.Buildah()
    found = []
    for name in given.reference:
        if document := _document(engine, _local(name)):
            found.append(document)
        else:
            print(f"Error: No such image: {name}", file=sys.stderr)
    if given.format:
        print("\n".join(template.render(given.format, document) for document in found))
    else:
        print(json.dumps(found, indent=4))
    return 0 if len(found) == len(given.reference) else 1


def _images(given: argparse.Namespace) -> int:
    options = [*("--quiet",) * given.quiet, *("--no-trunc",) * given.no_trunc]
    names = [f"--filter=reference={reference.parse(name)}" for name in given.reference]
    return buildah.Buildah().run("images", *options, *names)


def _rmi(given: argparse.Namespace) -> int:
    engine = buildah.Buildah()
    names = [_local(name) for name in given.reference]
    images = [image for name in names if (image := _id(engine, name))]
    code = engine.run("rmi", *("--force",) * given.force, *names)
    for image in images:
        if _id(engine, image) is None:
            engine.forget(image)
    return code


def _version(given: argparse.Namespace) -> int:
    version = (buildah.Buildah().read("--version") or "buildah").strip()
    document = {"Name": NAME, "Client": {"Version": version}, "Server": {"Version": version}}
    print(template.render(given.format, document) if given.format else f"{NAME}\n {version}")
    return 0


def _engine(name: reference.Reference) -> buildah.Buildah:
    return buildah.Buildah([name.host] if name.is_loopback else [])


def _id(engine: buildah.Buildah, name: str) -> str | None:
    """The id of an image in the local storage, without `sha256:`."""
    text = engine.read("inspect", "--type", "image", "--format", "{{.FromImageID}}", name)
    return text and text.strip()


def _document(engine: buildah.Buildah, name: str) -> dict[str, Any] | None:
    """What `docker inspect` says of an image in the local storage; None when it is not there."""
    text = engine.read("inspect", "--type", "image", name)
    if text is None:
        return None
    raw = json.loads(text)
    content, image = raw["Docker"], raw["FromImageID"]
    listed = json.loads(engine.read("images", "--json", image) or "[]")
    return {
        "Id": f"sha256:{image}",
        "RepoTags": listed[0].get("names") or [] if listed else [],
        "RepoDigests": engine.digests(image),
        "Created": content.get("created"),
        "Architecture": content["architecture"],
        "Os": content["os"],
        "Config": content.get("config") or {},
        "RootFS": {"Type": "layers", "Layers": content["rootfs"].get("diff_ids") or []},
    }


def _local(name: str) -> str:
    """The name that buildah knows an image by: an id as it stands, a reference completed."""
    if re.fullmatch(r"(sha256:)?[0-9a-f]{12,64}", name):
        return name.removeprefix("sha256:")
    return str(reference.parse(name).tagged)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="docker", description=NAME, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, allow_abbrev=False)
        command.set_defaults(run=run)
        return command

    build = add("build", _build)
    build.add_argument("-t", "--tag", action="append", default=[])
    build.add_argument("-f", "--file")
    build.add_argument("--build-arg", action="append", default=[])
    build.add_argument("--label", action="append", default=[])
    for flag in ("--target", "--iidfile", "--platform"):
        build.add_argument(flag)
    build.add_argument("--no-cache", action="store_true")
    build.add_argument("context")
    add("push", _push).add_argument("reference")
    login = add("login", _login)
    login.add_argument("-u", "--username")
    login.add_argument("--password-stdin", action="store_true")
    login.add_argument("server", nargs="?", default="docker.io")
    add("logout", _logout).add_argument("server", nargs="?", default="docker.io")
    tag = add("tag", _tag)
    tag.add_argument("source")
    tag.add_argument("target")
    image = commands.add_parser("image", allow_abbrev=False)
    inside = image.add_subparsers(required=True, metavar="COMMAND")
    for inspect in (add("inspect", _inspect), inside.add_parser("inspect", allow_abbrev=False)):
        inspect.set_defaults(run=_inspect)
        inspect.add_argument("-f", "--format")
        inspect.add_argument("reference", nargs="+")
    images = add("images", _images)
    images.add_argument("-q", "--quiet", action="store_true")
    images.add_argument("--no-trunc", action="store_true")
    images.add_argument("reference", nargs="*")
    rmi = add("rmi", _rmi)
    rmi.add_argument("-f", "--force", action="store_true")
    rmi.add_argument("reference", nargs="+")
    for name in ("version", "info"):
        add(name, _version).add_argument("-f", "--format")
    return parser


if __name__ == "__main__":
    # As an exception it passes through whatever runs, which then ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
