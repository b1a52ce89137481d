"""What importing the program costs, beside importing every SDK that it uses whole."""

import sys

from benchmarks.measure import Cost, median

# The modules that a program of this size touches when nobody keeps an eye on it.
PEER = "import pulumi_aws.s3, pulumi_docker, pulumi_kubernetes.core.v1, pulumi_kubernetes.apps.v1"


def measure(times: int = 5) -> dict[str, Cost]:
    """Median of `times` starts of Python each."""
    program = "import infra.program"
    return {
        "import infra.program": median([sys.executable, "-c", program], times),
        "import pulumi": median([sys.executable, "-c", "import pulumi"], times),
        "import the SDK modules": median([sys.executable, "-c", PEER], times),
    }
