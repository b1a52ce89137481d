"""The engine at work on one stack: what it is told to do, what it holds, and why it failed."""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promotion import engines, state
from promotion.refusals import Conflict, DependencyDown
from promotion.stack import Stack

_PATIENCE = 20  # seconds for an engine that its ferry left behind to end by itself
_PAUSE = 0.05  # seconds, between two looks at what the engine printed
_LOCKED = "the stack is currently locked by"
_HOLDER = re.compile(r"created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)")
_SERVING = "ferry:serving:"
"""How the types of what serves a model begin."""


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """What the engine has against a resource, or against the program where `urn` is empty."""

    urn: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How an update ended."""

    ok: bool
    complaints: Sequence[Complaint]
    printed: str

    def against(self, models: Iterable[str]) -> dict[str, str]:
        """The models that the engine could not deliver, each with the reason.

        That is the verdict's where a delivery's Job left one, else all that the engine said.
        """
        found: dict[str, list[str]] = {}
        for complaint in self.complaints:
            model = _model(complaint.urn, models)
            if model is not None and complaint.text not in found.setdefault(model, []):
                found[model].append(complaint.text)
        return {
            model: "; ".join(list(filter(None, map(_verdict, texts))) or texts)[:2000]
            for model, texts in found.items()
        }

    @property
    def reason(self) -> str:
        """Why it failed, in the engine's words."""
        texts = dict.fromkeys(complaint.text for complaint in self.complaints if complaint.text)
        return "; ".join(texts)[:2000] or self.printed.strip()[-1000:] or "it said nothing"


def up(stack: Stack, say: Callable[[str], None]) -> Ran:
    """Update the stack to its file; what the engine prints goes to standard error.

    A lock whose holder is dead gives way; raises `Conflict` naming a holder that lives.
    """
    for _ in range(2):
        with tempfile.TemporaryDirectory(prefix="ferry-events-") as folder:
            log = Path(folder, "events")
            code, printed = _run(
                stack, "up", "--yes", "--skip-preview", f"--event-log={log}", echo=True
            )
            events = log.read_text(errors="replace").splitlines() if log.exists() else []
        if code == 0 or _LOCKED not in printed:
            break
        _unlock(stack, printed, say)
    return Ran(ok=code == 0, complaints=list(_complaints(events)), printed=printed)


def clear_pending(stack: Stack, say: Callable[[str], None]) -> None:
    """Have the engine look at what a killed one had begun, so that none of it is left in doubt."""
    deployment = export(stack)
    if not deployment.get("pending_operations"):
        return
    say(f"an update of {stack.name} was killed half way; looking at what it left")
    for _ in range(2):
        code, printed = _run(
            stack, "refresh", "--yes", "--skip-preview", "--clear-pending-creates", echo=True
        )
        if code == 0 or _LOCKED not in printed:
            break
        _unlock(stack, printed, say)
    if code:
        raise DependencyDown(f"`pulumi refresh` failed for {stack.name}: {printed[-1000:]}")


def export(stack: Stack) -> dict[str, Any]:
    """The stack's state; secrets in it are encrypted."""
    return _document(stack, "stack", "export").get("deployment") or {}


def preview(stack: Stack) -> list[dict[str, str]]:
    """What an update would do: the operation and the URN of each resource that it changes."""
    steps = _document(stack, "preview", "--json").get("steps", [])
    return [{"op": each["op"], "urn": each["urn"]} for each in steps if each["op"] != "same"]


def _document(stack: Stack, *arguments: str) -> dict[str, Any]:
    code, printed = _run(stack, *arguments, echo=False)
    if code:
        raise DependencyDown(
            f"`pulumi {arguments[0]}` failed for {stack.name}: {printed[-1000:].strip()}"
            + state.remedy(printed, stack.name, stack.directory, engines.environment(stack.name))
        )
    try:
        return json.loads(printed[printed.index("{") :])
    except ValueError as error:
        raise DependencyDown(f"`pulumi {arguments[0]}` answers no JSON: {printed[:200]}") from error


def _run(stack: Stack, *arguments: str, echo: bool) -> tuple[int, str]:
    """Exit code and what was printed: both streams with `echo`, else the answer or the errors."""
    # Files, not pipes: an engine whose ferry was killed can still print, and so end in order.
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        try:
            with subprocess.Popen(
                ["pulumi", *arguments, f"--stack={stack.name}", "--non-interactive"],
                cwd=stack.directory,
                env={**engines.environment(stack.name), "PULUMI_DEBUG_COMMANDS": "true"},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT if echo else errors,
                preexec_fn=_end_with_ferry,
            ) as engine:
                at, new, ended = 0, b"", False
                while new or not ended:
                    ended = engine.poll() is not None
                    new = os.pread(printed.fileno(), 1 << 20, at)
                    at += len(new)
                    if echo and new:
                        sys.stderr.write(new.decode(errors="replace"))
                        sys.stderr.flush()
                    elif not ended:
                        time.sleep(_PAUSE)
        except FileNotFoundError as error:
            raise DependencyDown(
                'there is no `pulumi` on PATH; run `eval "$(make -s env)"` first'
            ) from error
        said = errors if engine.returncode and not echo else printed
        said.seek(0)
        return engine.returncode, said.read().decode(errors="replace")


def _end_with_ferry() -> None:
    """Have the kernel interrupt the engine, as Ctrl-C does, once ferry itself is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


def _unlock(stack: Stack, printed: str, say: Callable[[str], None]) -> None:
    """Take a dead engine's lock away. Raises `Conflict` when its holder lives, or may live."""
    holders = _HOLDER.findall(printed)
    until = time.monotonic() + _PATIENCE
    while alive := [each for each in holders if _lives(each[1], int(each[2]))]:
        user, host, pid, since = alive[0]
        if host != socket.gethostname() or time.monotonic() > until:
            raise Conflict(
                f"{stack.name} is being updated by {user}@{host} (pid {pid}) since {since}; "
                "wait for it, or `pulumi cancel` if you know that it is gone"
            )
        say(f"waiting for pulumi (pid {pid}) to end")
        time.sleep(1)
    if not holders:
        raise Conflict(f"{stack.name} is locked, by nobody knows whom: {printed[-500:]}")
    say(f"removing the lock of a pulumi that was killed (pid {holders[0][2]})")
    code, said = _run(stack, "cancel", "--yes", echo=False)
    if code:
        raise DependencyDown(f"`pulumi cancel` failed for {stack.name}: {said[-500:]}")


def _lives(host: str, pid: int) -> bool:
    """Whether the holder may be at work: on another machine nobody can tell."""
    if host != socket.gethostname():
        return True
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "pulumi"
    except OSError:
        pass
    if Path("/proc/self").exists():
        return False
    try:  # no /proc: a pid that is somebody else's by now counts as alive
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _complaints(events: Iterable[str]) -> Iterator[Complaint]:
    """From the engine's event log, one JSON document a line; a torn line says nothing."""
    for line in events:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        said = event.get("diagnosticEvent") or {}
        if said.get("severity") == "error":
            yield Complaint(urn=said.get("urn", ""), text=" ".join(said["message"].split()))
        if failed := event.get("resOpFailedEvent"):
            urn = failed["metadata"]["urn"]
            yield Complaint(urn=urn, text=f"{failed['metadata']['op']} of {_name(urn)} failed")


def _verdict(text: str) -> str | None:
    """The reason in a delivery Job's last words, where the text holds their document whole."""
    start = text.find('{"delivered"')
    try:
        return json.JSONDecoder().raw_decode(text[start:])[0]["reason"] if start >= 0 else None
    except (ValueError, KeyError):
        return None


def _model(urn: str, models: Iterable[str]) -> str | None:
    """Whose delivery a resource is part of: the longest of the names that its own begins with."""
    if _SERVING not in urn:
        return None
    name = _name(urn)
    owners = [model for model in models if name == model or name.startswith(f"{model}-")]
    return max(owners, key=len, default=None)


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]
