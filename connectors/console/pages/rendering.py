"""Renders templates as HTML. Every value is escaped unless it was marked as HTML here."""

import hashlib
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from schemas.keys import TenantId
from storage.postgres.people import MOST_LISTED, PersonRole, Session

SECTIONS: tuple[tuple[str, PersonRole], ...] = (
    ("conversations", "viewer"),
    ("trouble", "viewer"),
    ("pipeline", "viewer"),
    ("deliveries", "viewer"),
    ("tenants", "admin"),
    ("audit", "admin"),
)
"""The sections of the navigation, and the role that each requires."""
REPLACED = {"deliveries": "tenants"}
"""Maps a section to the one that contains it, for people who see both: they need one link only."""
_KINDS_WITH_ICONS = frozenset(
    {"image", "audio", "video", "document", "location", "contact", "interactive", "other"}
)
_ICON_OF = {"sticker": "image", "reaction": "interactive", "order": "document"}
STATIC_FOLDER = Path(__file__).parent / "static"
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


def render(template: str, **values: Any) -> str:
    """Renders a template. An undefined name is an error."""
    return _TEMPLATES.get_template(template).render(**values)


@cache
def static_version() -> str:
    """A digest for the addresses of static files, which browsers cache for a year."""
    digest = hashlib.sha256()
    for path in sorted(STATIC_FOLDER.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _clock(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%H:%M")


def _stamp(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


@pass_context
def _short(context: Context, moment: datetime, zone: ZoneInfo) -> str:
    """Returns the time for today, day and month for this year, otherwise the date."""
    here, now = moment.astimezone(zone), datetime.now(zone)
    if here.date() == now.date():
        return here.strftime("%H:%M")
    day = "%d/%m" if context["t"].language == "es" else "%-d %b"
    return here.strftime(day if now - here < timedelta(days=300) else "%Y-%m-%d")


def _size(count: int | None) -> str:
    if count is None:
        return ""
    value, unit = float(count), "B"
    for following in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, following
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"


def _money(microusd: int | None) -> str:
    return "–" if microusd is None else f"${microusd / 1_000_000:.4f}"


def _count(value: int) -> str:
    """Formats with thin spaces between thousands."""
    return f"{value:,}".replace(",", " ")


def _took(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _pace(value: float) -> str:
    """Formats a number per unit of time, without decimals from ten on."""
    return _count(round(value)) if value >= 10 or value == int(value) else f"{value:.1f}"


def _age(seconds: float) -> str:
    for unit, bound in (("s", 120), ("min", 7_200), ("h", 172_800)):
        if seconds < bound:
            return f"{seconds / {'s': 1, 'min': 60, 'h': 3_600}[unit]:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _plain(value: object) -> str:
    """Returns a value that somebody filled in, without the marks of a programming language."""
    match value:
        case dict():
            return "; ".join(f"{name}: {_plain(inner)}" for name, inner in value.items())
        case list() | tuple():
            return ", ".join(map(_plain, value))
        case bool() | None:
            return {True: "✓", False: "✗", None: "–"}[value]
        case _:
            return str(value)


def _headline(sentence: str) -> str:
    """Removes the full stop from a sentence of the catalogue, for titles and links."""
    return sentence.removesuffix(".")


_TEMPLATES.filters.update(
    headline=_headline, clock=_clock, stamp=_stamp, short=_short, size=_size, money=_money,
    count=_count, took=_took, pace=_pace, age=_age, plain=_plain,
)  # fmt: skip


def _nav(session: Session, tenant: TenantId) -> list[tuple[str, str]]:
    """Returns the sections that the person sees, with their paths."""
    seen = [key for key, role in SECTIONS if session.may(tenant, role)]
    return [(key, f"/t/{tenant}/{key}") for key in seen if REPLACED.get(key) not in seen]


def _listed(session: Session) -> tuple[list[TenantId], bool]:
    """Returns the tenants of the menu, and whether there are others."""
    return [*session.roles][:MOST_LISTED], session.has_more or len(session.roles) > MOST_LISTED


def _list_query(filters: Any, chosen: str) -> str:
    """Returns the filters of the list as a query string, without empty ones."""
    parameters = {
        "provider": filters.provider,
        "state": filters.state,
        "q": filters.text,
        "chosen": chosen,
    }
    return urlencode({name: value for name, value in parameters.items() if value})


def _kind_icon(kind: str) -> str:
    return kind if kind in _KINDS_WITH_ICONS else _ICON_OF.get(kind, "other")


def _bars(counts: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Returns x, y and height of each bar of a small chart that is 20 high."""
    most = max(*counts, 1)
    heights = [max(2, round(18 * count / most)) if count else 1 for count in counts]
    return [(6 * at, 20 - height, height) for at, height in enumerate(heights)]


_TEMPLATES.globals.update(
    bars=_bars,
    static_version=static_version,
    nav=_nav,
    listed=_listed,
    live_query=_list_query,
    kind_icon=_kind_icon,
)
