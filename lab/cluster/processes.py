"""A lab's processes: started detached, known by pid and start time, ended by that alone."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError

# Every process of a lab and its children (shims, CNI plugins) carry the lab's folder in this
# variable, so that one whose record was lost is still found. Containers do not inherit it.
MARK = "FERRY_LAB_FOLDER"
_PART = "FERRY_LAB_PART"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
# The process records itself before it becomes the program: no moment at which it runs unknown.
_RECORD = 'cat "/proc/$$/stat" /proc/sys/kernel/random/boot_id > "$1" && shift && exec "$@"'
_LINES_SHOWN = 12
_POLL = 0.1
_PATIENCE = 5.0


@dataclass(frozen=True)
class Part:
    """One process of a lab; `inside` puts it into the lab's network namespace."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    inside: bool = True


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    started: int
    """Clock ticks after boot."""
    boot: str


def parse_record(text: str) -> Identity | None:
    """Reads a record: the process's own stat line, then the boot's id. None when cut short."""
    try:
        stat, boot = text.rsplit(")", 1)[1].split("\n")[:2]
        return Identity(int(text.split(maxsplit=1)[0]), int(stat.split()[19]), boot.strip())
    except (IndexError, ValueError):
        return None


def identify(pid: int) -> Identity | None:
    """What lives under `pid` now; None when nothing does or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if stat.rsplit(")", 1)[1].split()[0] in "ZX":
        return None
    return parse_record(stat + _BOOT.read_text())


class Processes:
    """The processes of the lab whose folder and network namespace are given."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self._folder = folder
        self._namespace = namespace

    def log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"

    def recorded(self) -> list[str]:
        """Names of the parts that were started and not yet ended by us, alive or not."""
        return sorted(file.stem for file in self._records().glob("*.pid"))

    def alive(self, name: str) -> int | None:
        """The pid of the part `name` while it runs."""
        identity = self._read(name)
        if identity is None or identify(identity.pid) != identity:
            return None
        return identity.pid

    def start(self, part: Part) -> None:
        """Starts the part unless it runs; what an earlier start left without record ends first."""
        if self.alive(part.name):
            return
        self._end([pid for pid in self.marked() if _is(pid, part)])
        self._records().mkdir(parents=True, exist_ok=True)
        log = self.log(part.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))
        enter = ["nsenter", f"--net=/run/netns/{self._namespace}"] if part.inside else []
        record = self._record(part.name)
        record.unlink(missing_ok=True)
        # Forked off, so that it is a child of init: it outlives this command, and never a zombie.
        detached = ["setsid", "--fork", "sh", "-c", _RECORD, "record", str(record)]
        with log.open("wb") as output:
            subprocess.run(
                [*detached, *enter, *part.command],
                cwd=self._folder,
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "HOME": os.environ.get("HOME", "/"),
                    MARK: str(self._folder),
                    _PART: part.name,
                    **part.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=True,
            )
        limit = time.monotonic() + _PATIENCE
        while self._read(part.name) is None:
            if time.monotonic() > limit:
                raise LabError(f"{part.name} did not start. {self.explain(part.name)}")
            time.sleep(0.005)

    def stop(self, names: Iterable[str], seconds: float = 10) -> None:
        """Ends the parts: SIGTERM, and SIGKILL to those that take longer than `seconds`."""
        names = list(names)
        self._end([pid for name in names if (pid := self.alive(name))], seconds)
        for name in names:
            self._record(name).unlink(missing_ok=True)

    def wait(self, name: str, what: str, check: Callable[[], bool], seconds: float) -> None:
        """Returns when `check` holds. LabError when the part dies first or `seconds` pass."""
        limit = time.monotonic() + seconds
        while not check():
            if not self.alive(name):
                raise LabError(f"{name} ended at its start. {self.explain(name)}")
            if time.monotonic() > limit:
                raise LabError(f"{what} took over {seconds:.0f} s. {self.explain(name)}")
            time.sleep(_POLL)

    def listens(self, name: str, port: int) -> bool:
        """Whether the part itself listens on a TCP port; somebody else's socket doesn't count."""
        wanted, process = f":{port:04X}", Path(f"/proc/{self.alive(name)}")
        try:
            rows = [
                row.split()
                for table in ("tcp", "tcp6")
                for row in (process / "net" / table).read_text().splitlines()[1:]
            ]
            own = set(_open_files(process))
        except OSError:  # it has ended
            return False
        return any(
            row[1].endswith(wanted) and row[3] == "0A" and f"socket:[{row[9]}]" in own
            for row in rows
        )

    def explain(self, name: str) -> str:
        """The end of the part's log, and what to do where the log says why."""
        log = self.log(name)
        text = log.read_text(errors="replace") if log.exists() else ""
        lines = text.splitlines()[-_LINES_SHOWN:]
        signs = _REMEDIES.items()
        remedy = next((advice for sign, advice in signs if sign in "\n".join(lines)), "")
        last = "\n".join(f"  {line[:300]}" for line in lines)
        return f"{remedy}Its log {log} ends with\n{last}"

    def marked(self) -> Iterator[int]:
        """Every process on the machine that was started by this lab, or by one of its own."""
        for pid in pids():
            if _variable(pid, MARK) == str(self._folder):
                yield pid

    def end_marked(self, seconds: float = 10) -> None:
        """Ends whatever of the lab is still there, recorded or not."""
        self._end(list(self.marked()), seconds)

    def _end(self, running: list[int], seconds: float = 10) -> None:
        end([identity for pid in running if (identity := identify(pid))], seconds)

    def _records(self) -> Path:
        return self._folder / "run"

    def _record(self, name: str) -> Path:
        return self._records() / f"{name}.pid"

    def _read(self, name: str) -> Identity | None:
        try:
            return parse_record(self._record(name).read_text())
        except FileNotFoundError:
            return None


def _open_files(process: Path) -> Iterator[str]:
    for handle in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we looked
            yield os.readlink(handle)


def end(running: Iterable[Identity], seconds: float) -> None:
    """SIGTERM, then SIGKILL after `seconds`; never to a process that took over the pid."""
    left = list(running)
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5)):
        for identity in left:
            _signal(identity, number)
        limit = time.monotonic() + patience
        while left := [one for one in left if identify(one.pid) == one]:
            if time.monotonic() > limit:
                break
            time.sleep(0.02)


def pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def _signal(identity: Identity, number: signal.Signals) -> None:
    if identify(identity.pid) == identity:
        try:
            os.kill(identity.pid, number)
        except ProcessLookupError:
            return


def _is(pid: int, part: Part) -> bool:
    """Whether a marked process is the part itself: its children carry its name as well."""
    if _variable(pid, _PART) != part.name:
        return False
    try:
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return program.decode() == part.command[0]


def _variable(pid: int, name: str) -> str | None:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    prefix = f"{name}=".encode()
    return next((e[len(prefix) :].decode() for e in entries if e.startswith(prefix)), None)


_REMEDIES = {
    "address already in use": "Its port is taken inside the lab: `python -m lab down` and `up`. ",
    "no space left on device": "The disk is full: free some space, then run `up` again. ",
    "permission denied": "The lab needs root. ",
}
