import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import figures, page
from bench.figures import Figure, Ratio, Report, Table, ratio
from bench.way_picture import picture

OURS = Figure(name="ours", runs=[1_000.0, 1_200.0, 1_100.0])
THEIRS = Figure(name="theirs", runs=[2_000.0, 2_200.0, 2_100.0])


def rivals(at_least: float = 1.0) -> Report:
    table = Table(
        bench="rivals",
        title="dedup",
        unit="records/s",
        figures=[OURS, THEIRS],
        ratios=[ratio("ours : theirs", OURS, THEIRS, at_least)],
    )
    return Report("rivals", "2026-11-27T12:00:00+0000", 2, 24, 0.4, [table])


def way() -> Report:
    def scenario(name: str, parts: dict[str, float]) -> list[Table]:
        whole = {"to the row, p50": 80.0, "to the row, p99": 140.0}
        return [
            Table(
                bench="way",
                title=f"whole way, {name}: from the webhook",
                unit="ms",
                figures=[Figure(name=one, runs=[value]) for one, value in whole.items()],
                ratios=[Ratio(name="p99 to the row, ms", value=140.0, at_most=150.0)],
            ),
            Table(
                bench="way",
                title=f"whole way, {name}: where the time goes, mean",
                unit="ms",
                figures=[Figure(name=one, runs=[value]) for one, value in parts.items()],
            ),
        ]

    tables = [
        *scenario("texts at 200/s", {"receive": 2.5, "dedupe's commit": 40.0, "sink": 10.0}),
        *scenario("photos at 50/s", {"receive": 2.5, "a < b & c": 300.0}),
    ]
    return Report("way", "2026-11-27T12:00:00+0000", 2, 24, 0.4, tables)


def test_a_table_shows_every_run_the_ratio_and_the_goal() -> None:
    text = page.markdown(rivals())
    assert "2026-11-27 12:00, 2 cores, 24 GiB, load average before 0.4" in text
    assert "| dedup [records/s] | ours : theirs | 1,100 : 2,100 | 0.52 | ≥ 1 | **no** |" in text
    assert "| dedup [records/s] | ours | 1,100 | 1,000, 1,200, 1,100 |" in text


def test_a_goal_that_is_met_says_so() -> None:
    assert "| 0.52 | ≥ 0.5 | yes |" in page.markdown(rivals(0.5))


def test_a_ratio_without_a_goal_is_not_among_the_goals() -> None:
    assert "Goal" not in page.markdown(rivals(0.0))


def test_figures_replace_what_was_in_their_place_and_nothing_else() -> None:
    text = "before\n<!-- figures: rivals -->\nold\n<!-- end of figures -->\nbetween\n<!-- figures: way -->\nkept\n<!-- end of figures -->\n"
    once = page.written(text, {"rivals": rivals()})
    assert "old" not in once
    assert once.startswith("before\n<!-- figures: rivals -->\n")
    assert once.endswith("between\n<!-- figures: way -->\nkept\n<!-- end of figures -->\n")
    assert page.written(once, {"rivals": rivals()}) == once


def test_the_page_has_a_place_for_each_bench_that_is_written_into_it() -> None:
    assert page.named(page.PAGE.read_text()) == ["rivals", "way", "scale"]


def test_a_report_is_read_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    figures.write("rivals", rivals().tables, 0.4)
    found = figures.read("rivals", tmp_path)
    assert found is not None
    assert found.tables == rivals().tables
    assert figures.read("way", tmp_path) is None


def test_the_picture_is_the_same_for_the_same_run_and_is_well_formed() -> None:
    assert picture(way()) == picture(way())
    ElementTree.fromstring(picture(way()))


def test_the_parts_of_a_bar_lie_side_by_side_and_fill_it() -> None:
    root = ElementTree.fromstring(picture(way()))
    bars = [
        (float(one.attrib["x"]), float(one.attrib["width"]))
        for one in root.iter("{http://www.w3.org/2000/svg}rect")
        if one.attrib.get("height") == "30"
    ]
    assert len(bars) == 5
    for (x, width), (following, _) in [(bars[0], bars[1]), (bars[1], bars[2]), (bars[3], bars[4])]:
        assert x + width == pytest.approx(following, abs=0.2)
    assert sum(width for _, width in bars[:3]) == pytest.approx(804, abs=0.5)
    assert bars[1][1] / bars[0][1] == pytest.approx(16, rel=0.05)


def test_the_picture_names_every_part_and_has_colours_for_dark_pages() -> None:
    text = picture(way())
    assert "dedupe&#x27;s commit 40 ms" in text
    assert "a &lt; b &amp; c 300 ms" in text
    assert "p50 80 ms, p99 140 ms" in text
    assert "prefers-color-scheme:dark" in text
    assert len(re.findall(r"\.part-0\{", text)) == 2


def test_the_same_part_has_the_same_colour_in_every_bar() -> None:
    report = way()
    extended = [
        *report.tables[3].figures,
        Figure(name="sink", runs=[10.0]),
        Figure(name="x", runs=[1.0]),
    ]
    photos = Table(bench="way", title=report.tables[3].title, unit="ms", figures=extended)
    text = picture(Report("way", report.date, 2, 24, 0.4, [*report.tables[:3], photos]))
    colours = re.findall(r'class="(part-\d)" x="[\d.]+" y="\d+" width="11".*\n.*>sink 10 ms<', text)
    assert len(colours) == 2
    assert len(set(colours)) == 1
