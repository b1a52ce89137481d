"""`make up` of a stack that is up already."""

from benchmarks.measure import Cost, median


def measure(stack: str, times: int = 1) -> dict[str, Cost]:
    """Median over `times` runs."""
    return {f"make up of {stack}": median(["make", "up", f"STACK={stack}"], times)}
