"""How thorough tests are: `make test`, and so CI, sets TESTS_THOROUGH=1; `make unit` does not."""

import os
from typing import TypeVar

from hypothesis import settings

T = TypeVar("T")

THOROUGH = os.environ.get("TESTS_THOROUGH") == "1"
"""With it, tests with the marker `thorough` run, and properties use all their examples."""
QUICK_EXAMPLES = 25


def load_profile() -> None:
    """Sets the number of examples per property: hypothesis's own number when thorough.

    No property has a time limit.
    """
    settings.register_profile("thorough", deadline=None)
    settings.register_profile("quick", deadline=None, max_examples=QUICK_EXAMPLES)
    settings.load_profile("thorough" if THOROUGH else "quick")


def by_depth(thorough: T, quick: T) -> T:
    """The size of a test that takes long at its whole size."""
    return thorough if THOROUGH else quick


def examples(thorough: int) -> int:
    """The number of examples of a property that needs another one than hypothesis's own."""
    return thorough if THOROUGH else min(thorough, QUICK_EXAMPLES)
