"""Why a command stops, and the exit code that says so to a script."""


class Refusal(Exception):
    """Stops a command; the text names what was seen, what was wanted and what to do next."""

    exit_code = 1


class UsageRefused(Refusal):
    """The command line or a stack file is not usable as it stands."""

    exit_code = 2


class GateRefused(Refusal):
    """The release, or the pin that names it, does not pass a check."""

    exit_code = 3


class Conflict(Refusal):
    """Somebody else moved the same thing first, or holds it now."""

    exit_code = 4


class NeverUp(Refusal):
    """The stack has no outputs: nobody brought it up with this state."""

    exit_code = 5


class DependencyDown(Refusal):
    """MLflow, the registry, the bucket or the engine does not answer."""

    exit_code = 5
