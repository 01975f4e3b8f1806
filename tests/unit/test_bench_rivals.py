import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench import lanes
from bench.figures import Pace
from bench.rivals import dedup, gateway, parts, run, sink
from bench.rivals.measured import Goal, Sides
from bench.sink import first_version, sink_record
from schemas.codec import decode
from schemas.records import EnrichedMessage
from streams.local.jars import pinned
from streams.local.processes import LocalError


@pytest.mark.parametrize("name", list(parts.JARS))
def test_every_jar_of_a_rival_is_pinned_by_its_sha256(name: str) -> None:
    lock = pinned(parts.JARS[name])
    assert lock
    assert all(re.fullmatch(r"[^:]+:[^:]+:[^:]+", one) for one in lock)
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in lock.values())


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("streams", ("kafka-streams:4.1.0", "rocksdbjni")),
        ("connect", ("connect-runtime:4.2.0", "connect-json:4.2.0")),
        ("debezium-jdbc", ("debezium-connector-jdbc:3.3.1.Final", "org.postgresql:postgresql")),
    ],
)
def test_the_locks_hold_the_rivals_themselves(name: str, wanted: tuple[str, ...]) -> None:
    for one in wanted:
        assert any(one in coordinates for coordinates in pinned(parts.JARS[name]))


def test_every_package_of_quix_is_pinned_with_hashes() -> None:
    text = (parts.QUIX / "requirements.lock").read_text()
    packages = re.findall(r"^([a-z0-9_.-]+(?:\[[a-z,]+\])?)==(\S+) \\$", text, re.MULTILINE)
    assert ("quixstreams", "3.28.1") in packages
    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(packages)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_every_module_of_the_gateway_has_a_sum() -> None:
    wanted = re.findall(
        r"^\t?(?:require )?(github\S+) (v\S+)", (parts.GATEWAY / "go.mod").read_text(), re.M
    )
    sums = (parts.GATEWAY / "go.sum").read_text()
    assert any(module.endswith("franz-go") for module, _ in wanted)
    assert all(f"{module} {version} h1:" in sums for module, version in wanted)


def test_the_rivals_copy_the_same_records_to_their_second_output_as_the_lanes() -> None:
    keys = [record.key or b"" for record in lanes.records(1_000)]
    ends = [key[-1:] in (b"0", b"5") for key in keys]
    assert ends == list(map(lanes.has_media, keys))
    assert sum(ends) == pytest.approx(200, abs=30)
    for source in (parts.STREAMS / "Dedup.java", parts.QUIX / "dedup.py"):
        assert re.search(r"'0'.*'5'|b\"0\", b\"5\"", source.read_text()), source


def test_the_sink_and_connect_get_the_same_messages() -> None:
    message = first_version(4)
    ours = decode(EnrichedMessage, sink_record(message, 4).value)
    theirs = sink.connect_record(message)
    assert theirs.key == ours.message_key.encode()
    row = sink.json.loads(theirs.value)
    assert set(row) == set(sink.COLUMNS)
    for name, value in row.items():
        was = getattr(ours, name)
        if isinstance(was, datetime):
            assert datetime.fromisoformat(value).astimezone(UTC) == was
        else:
            assert value == was


def test_connect_is_told_of_every_column_and_of_no_other() -> None:
    fields = sink.connect_schema()["fields"]
    assert [one["field"] for one in fields] == list(sink.COLUMNS)
    assert {one["field"] for one in fields if not one["optional"]} >= set(sink.KEY)


def test_a_goal_that_is_missed_is_shown_as_missed_and_a_jvm_is_compared_in_memory() -> None:
    sides = Sides()
    for rate in (100.0, 300.0, 200.0):
        sides.add("ours", Pace(rate, 50.0, 10.0))
        sides.add("theirs", Pace(250.0, 100.0, 20.0))
    rates, cpu, memory = sides.tables("x", "records/s", [Goal("ours", "theirs", 1.0, is_jvm=True)])
    assert (rates.ratios[0].value, rates.ratios[0].at_least) == (0.8, 1.0)
    assert rates.ratios[0].verdict.endswith("NO")
    assert [one.runs for one in cpu.figures] == [[10.0] * 3, [20.0] * 3]
    assert (memory.ratios[0].value, memory.ratios[0].at_most) == (0.5, 0.4)


def test_a_rival_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIVALS", "gateway floppy")
    with pytest.raises(SystemExit, match="floppy: rivals are gateway, dedup, latency, sink"):
        run.chosen()


def test_the_gateway_is_asked_on_the_path_of_the_receiver() -> None:
    source = (parts.GATEWAY / "main.go").read_text()
    assert "/webhooks/ycloud/{token}" in source
    assert "YCloud-Signature" in source
    assert gateway.CONNECTIONS == (64, 256)


def test_a_tool_that_is_missing_is_named_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("RIVALS", "gateway")
    rig: Any = None
    with pytest.raises(LocalError, match="`go` is not on PATH: install Go"):
        run.run(rig)
    monkeypatch.setenv("RIVALS", "sink")
    with pytest.raises(LocalError, match="`mvn` is not on PATH: install Maven"):
        run.run(rig)


def test_every_stage_says_what_it_needs() -> None:
    assert run.NEEDS.keys() == run.STAGES.keys()


def test_the_p99_has_goals_and_the_median_has_none() -> None:
    waits = {
        name: [[float(number) for number in range(100)]]
        for name in (dedup.DEDUPE, dedup.LANES, dedup.MEMORY, dedup.ROCKSDB)
    }
    asked = dedup.latency_table(waits, "p99", 0.99, at_most=1.0)
    assert [one.at_most for one in asked.ratios] == [1.0] * 4 + [dedup.GOAL_MS] * 2
    assert asked.figures[0].runs == [99.0]
    shown = dedup.latency_table(waits, "p50", 0.5, at_most=0.0)
    assert [(one.value, one.at_most) for one in shown.ratios] == [(1.0, 0.0)] * 4
