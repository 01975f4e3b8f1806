"""How deep tests go: `make test`, and so CI, runs them with TESTS_THOROUGH=1; `make unit` does not."""

import os
from typing import TypeVar

from hypothesis import settings

T = TypeVar("T")

THOROUGH = os.environ.get("TESTS_THOROUGH") == "1"
"""Tests with the marker `thorough` run, and properties are tried with all their examples."""
QUICK_EXAMPLES = 25


def load_profile() -> None:
    """Examples per property: hypothesis's own number when thorough. Time is no property of the code here."""
    settings.register_profile("thorough", deadline=None)
    settings.register_profile("quick", deadline=None, max_examples=QUICK_EXAMPLES)
    settings.load_profile("thorough" if THOROUGH else "quick")


def by_depth(thorough: T, quick: T) -> T:
    """The size of a test that takes long at its whole size."""
    return thorough if THOROUGH else quick


def examples(thorough: int) -> int:
    """The number of examples of a property that wants another one than hypothesis's own."""
    return thorough if THOROUGH else min(thorough, QUICK_EXAMPLES)
