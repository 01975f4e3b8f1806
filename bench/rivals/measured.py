"""Collects the results of one run of product and rivals.

It builds a table per measurement with its goals.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.figures import Figure, Pace, Table, ratio

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SHARE = float(os.environ.get("SHARE", "1"))
"""The share of the usual number of records.

Less than 1 only to check that a bench works.
"""
WARMING = 0.25
"""The share of a run that is not counted, because a JVM is slower until its code is compiled."""
MEMORY_GOAL = 0.4


def count(usual: int) -> int:
    """The number of records of a run."""
    return max(1_000, int(usual * SHARE))


class Goal(NamedTuple):
    """The product should be at least `at_least` times as fast as the rival; 0 means no goal."""

    product: str
    rival: str
    at_least: float = 0.0
    is_jvm: bool = False
    """If true, the memory of both is compared too."""


@dataclass
class Sides:
    """The runs of each side, by name."""

    paces: dict[str, list[Pace]] = field(default_factory=dict)

    def add(self, name: str, pace: Pace) -> None:
        self.paces.setdefault(name, []).append(pace)
        print(
            f"  {name}: {pace.per_second:,.0f}/s, {pace.cpu_microseconds:.0f} µs of "
            f"CPU each, {pace.memory_mib:.0f} MiB",
            flush=True,
        )

    def tables(self, title: str, unit: str, goals: Sequence[Goal]) -> list[Table]:
        """Returns rate, CPU time and memory of all sides."""
        rates = self._figures(lambda pace: pace.per_second)
        cpu = self._figures(lambda pace: pace.cpu_microseconds)
        memory = self._figures(lambda pace: pace.memory_mib)
        return [
            Table(
                bench="rivals",
                title=title,
                unit=unit,
                figures=list(rates.values()),
                ratios=[
                    ratio(
                        f"{one.product} : {one.rival}",
                        rates[one.product],
                        rates[one.rival],
                        one.at_least,
                    )
                    for one in goals
                    if one.rival in rates
                ],
            ),
            Table(
                bench="rivals",
                title=f"{title}: CPU of the process",
                unit="µs each",
                figures=list(cpu.values()),
            ),
            Table(
                bench="rivals",
                title=f"{title}: peak of resident memory",
                unit="MiB",
                figures=list(memory.values()),
                ratios=[
                    ratio(
                        f"{one.product} : {one.rival}",
                        memory[one.product],
                        memory[one.rival],
                        at_most=MEMORY_GOAL,
                    )
                    for one in goals
                    if one.is_jvm
                ],
            ),
        ]

    def _figures(self, of: Callable[[Pace], float]) -> dict[str, Figure]:
        return {
            name: Figure(name=name, runs=[of(pace) for pace in paces])
            for name, paces in self.paces.items()
        }
