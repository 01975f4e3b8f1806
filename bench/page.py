"""`make figures`: writes the last runs of the benches into docs/benchmarks.md.

They go between the marks that name them. It also draws the picture. The place of a
bench without a run in var/bench is not changed. `python -m bench.page print` only
prints the text.
"""

import re
import sys
from pathlib import Path

from bench.figures import FOLDER, Figure, Ratio, Report, Table, number, read
from bench.way_picture import picture

PAGE = Path("docs/benchmarks.md")
PICTURE = Path("docs/whole-way.svg")
_PLACE = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def markdown(report: Report) -> str:
    """Formats the goals first, then every figure with all its runs."""
    lines = [
        f"`make bench BENCH={report.bench}`, {report.date[:16].replace('T', ' ')}, "
        f"{report.cores} cores, {report.memory_gib} GiB, "
        f"load average before {report.load_average:.1f}; median (all runs)."
    ]
    with_goals = [
        (table, one)
        for table in report.tables
        for one in table.ratios
        if one.at_least or one.at_most
    ]
    if with_goals:
        lines += [
            "",
            "| What | Compared | Figures | Result | Goal | Met |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_goal(table, one) for table, one in with_goals]
    lines += ["", "| What | Of | Median | Runs |", "|---|---|---|---|"]
    lines += [_figure(table, one) for table in report.tables for one in table.figures]
    if report.bench == "way":
        lines += ["", f"![Where the time goes from webhook to row]({PICTURE.name})"]
    return "\n".join(lines) + "\n"


def _goal(table: Table, one: Ratio) -> str:
    medians = {figure.name: figure.median for figure in table.figures}
    compared = " : ".join(number(medians[name]) for name in (one.of, one.to) if name in medians)
    goal = f"≥ {one.at_least:g}" if one.at_least else f"≤ {one.at_most:g}"
    is_met = one.value >= one.at_least if one.at_least else one.value <= one.at_most
    shown = number(one.value) if one.value >= 100 else f"{one.value:.2f}"
    met = "yes" if is_met else "**no**"
    return f"| {table.title} [{table.unit}] | {one.name} | {compared} | {shown} | {goal} | {met} |"


def _figure(table: Table, one: Figure) -> str:
    runs = ", ".join(map(number, one.runs))
    return f"| {table.title} [{table.unit}] | {one.name} | {number(one.median)} | {runs} |"


def written(text: str, reports: dict[str, Report]) -> str:
    """Returns the page with the figures of these reports in their places."""

    def place(match: "re.Match[str]") -> str:
        report = reports.get(match[2])
        return match[0] if report is None else f"{match[1]}\n{markdown(report)}\n{match[3]}"

    return _PLACE.sub(place, text)


def named(text: str) -> list[str]:
    """The benches that have a place in the page."""
    return [match[2] for match in _PLACE.finditer(text)]


def main(words: list[str]) -> None:
    text = PAGE.read_text()
    reports = {name: report for name in named(text) if (report := read(name)) is not None}
    if words == ["print"]:
        print(*map(markdown, reports.values()), sep="\n")
        return
    PAGE.write_text(written(text, reports))
    if "way" in reports:
        PICTURE.write_text(picture(reports["way"]))
    print(f"{PAGE}: figures of {', '.join(reports) or f'no bench: {FOLDER} has none'}")


if __name__ == "__main__":
    main(sys.argv[1:])
