"""Draws where the time goes on the whole way: a bar per scenario with its parts named below.

A pure function of the bench's report. The colours are those of the console's pages, in
light and in dark.
"""

from html import escape
from itertools import accumulate

from bench.figures import Report, Table

WIDTH = 860
_MARGIN = 28
_BAR_HEIGHT = 30
_LINE_HEIGHT = 22
_COLUMNS, _MANY_COLUMNS = 4, 3
_HEAD = 92
_PANEL_HEAD = 58
_SUFFIX = ": where the time goes, mean"
_WHOLE = ": from the webhook"
_LIGHT = {"ground": "#ffffff", "line": "#dfe5ea", "text": "#17212b", "muted": "#56636f"}
_DARK = {"ground": "#141c23", "line": "#26323c", "text": "#e4eaef", "muted": "#9cabb8"}
_PARTS = (
    ("#0f766e", "#2cc4b3"),
    ("#3d5fa8", "#7f9fe6"),
    ("#9a4a22", "#e39a6f"),
    ("#6a4bb0", "#ab93ea"),
    ("#4a6b1c", "#a2c566"),
    ("#8b96a1", "#6c7a87"),
    ("#a8344f", "#ee8ba1"),
    ("#27698a", "#6fb6d8"),
    ("#8a6d0b", "#dfc055"),
)
"""The light and dark colour of each part, in order."""


def picture(report: Report) -> str:
    """Returns the SVG.

    Parts are means over all messages; the line above shows median and 99th percentile
    of the whole.
    """
    tables = {table.title: table for table in report.tables}
    every = [
        [one.name for one in table.figures]
        for title, table in tables.items()
        if title.endswith(_SUFFIX)
    ]
    names = max(every, key=len, default=[])
    panels, y = [], _HEAD
    for title, parts in tables.items():
        if not title.endswith(_SUFFIX):
            continue
        name = title.removesuffix(_SUFFIX)
        colours = [_colour(number, one.name, names) for number, one in enumerate(parts.figures)]
        lines, y = _panel(parts, tables[name + _WHOLE], colours, y)
        panels += lines
    head = [
        _text(_MARGIN, 38, "From webhook to row: where the time goes", "title"),
        _text(
            _MARGIN,
            62,
            f"Mean of each part over all messages; {report.cores} cores for "
            f"everything, {report.date[:10]}. Each bar has its own scale.",
            "muted",
        ),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" '
            f'width="{WIDTH}" height="{y}" role="img" '
            'aria-label="Where the time goes from webhook to row">',
            _style(),
            f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{y - 1}" rx="12"/>',
            *head,
            *panels,
            "</svg>\n",
        ]
    )


def _colour(number: int, name: str, names: list[str]) -> int:
    """Returns the same colour for a part in every panel.

    It is that of the part with this name in the longest panel.
    """
    same = (place for place, other in enumerate(names) if other.startswith(name))
    return next(same, number) % len(_PARTS)


def _panel(parts: Table, whole: Table, colours: list[int], y: int) -> tuple[list[str], int]:
    """Returns the elements of a scenario, and the position of the next one."""
    name = whole.title.removesuffix(_WHOLE).removeprefix("whole way, ")
    columns = _COLUMNS if len(colours) <= _COLUMNS else _MANY_COLUMNS
    p50, p99 = (one.median for one in whole.figures[:2])
    lines = [
        _text(_MARGIN, y + 18, _first_upper(name), "name"),
        _text(WIDTH - _MARGIN, y + 18, f"p50 {_ms(p50)}, p99 {_ms(p99)}", "end"),
    ]
    times = [max(0.0, one.median) for one in parts.figures]
    scale = (WIDTH - 2 * _MARGIN) / (sum(times) or 1.0)
    begins = [0.0, *accumulate(times)]
    for colour, begin, took in zip(colours, begins, times, strict=False):
        x = _MARGIN + begin * scale
        lines.append(
            f'<rect class="part-{colour}" x="{x:.1f}" y="{y + 30}" '
            f'width="{took * scale:.1f}" height="{_BAR_HEIGHT}"/>'
        )
    column = (WIDTH - 2 * _MARGIN) // columns
    below = y + _PANEL_HEAD + 14
    for number, (one, took) in enumerate(zip(parts.figures, times, strict=True)):
        x = _MARGIN + number % columns * column
        at = below + number // columns * _LINE_HEIGHT
        lines.append(
            f'<rect class="part-{colours[number]}" x="{x}" y="{at}" width="11" height="11" rx="2"/>'
        )
        lines.append(_text(x + 17, at + 10, f"{one.name} {_ms(took)}", "small"))
    rows = -(-len(times) // columns)
    end = below + rows * _LINE_HEIGHT + 24
    return lines, end


def _style() -> str:
    def rules(colours: dict[str, str], side: int) -> str:
        parts = "".join(f".part-{n}{{fill:{pair[side]}}}" for n, pair in enumerate(_PARTS))
        return (
            f".ground{{fill:{colours['ground']};stroke:{colours['line']}}}"
            f"text{{fill:{colours['text']}}}.muted{{fill:{colours['muted']}}}{parts}"
        )

    return (
        "<style>text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}"
        ".title{font-size:19px;font-weight:650}.name,.end{font-size:14px;font-weight:600}"
        ".end{text-anchor:end}.small{font-size:12px}"
        f"{rules(_LIGHT, 0)}@media (prefers-color-scheme:dark){{{rules(_DARK, 1)}}}</style>"
    )


def _text(x: int, y: int, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(words)}</text>'


def _ms(value: float) -> str:
    if value >= 1_000:
        return f"{value / 1_000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _first_upper(words: str) -> str:
    return words[:1].upper() + words[1:]
