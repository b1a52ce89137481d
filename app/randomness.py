"""Randomness: libraries that draw from NumPy's global state are made to repeat themselves."""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Seed the global state, and put it back as it was."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
