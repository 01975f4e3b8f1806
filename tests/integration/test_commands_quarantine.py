"""`quarantine` lists, shows and dismisses records, and sends them back whole to their topic."""

import json
from datetime import timedelta

import pytest

from schemas.codec import encode
from schemas.headers import generation_of, header
from schemas.keys import MessageKey, TenantId
from schemas.records import RawMessage
from streams.repair import applying
from tests.integration.commands import Commands
from tests.integration.replays import set_aside, written
from tests.unit.records import NOW


def test_quarantine_is_listed_and_shown(commands: Commands) -> None:
    assert commands.json("quarantine", "list") == {"quarantined": []}
    commands.json("tenants", "add", "other")
    set_aside(commands, 7)
    set_aside(commands, 8, tenant="other", stage="describe", topic="vision")
    listed = commands.json("quarantine", "list")["quarantined"]
    assert [one["place"] for one in listed] == ["raw-messages[0]@7", "vision[0]@8"]
    assert listed[0] == {
        "place": "raw-messages[0]@7", "tenant_id": "acme", "stage": "dedupe", "reason": "not_json", "detail": "no JSON", "record_key": "k",
        "state": "new", "created_at": (NOW + timedelta(seconds=7)).isoformat(),
    }  # fmt: skip
    for option, value in (("--tenant", "other"), ("--stage", "describe")):
        assert [
            one["place"]
            for one in commands.json("quarantine", "list", option, value)["quarantined"]
        ] == ["vision[0]@8"]
    assert commands.json("quarantine", "list", "--reason", "stage_error") == {"quarantined": []}
    assert len(commands.json("quarantine", "list", "--limit", "1")["quarantined"]) == 1
    (shown,) = commands.json("quarantine", "show", "raw-messages[0]@7")["quarantined"]
    assert (shown["value_base64"], shown["headers"]["tenant"], shown["place"]) == (
        "ew==",
        "acme",
        "raw-messages[0]@7",
    )
    assert (
        commands.fails("quarantine", "show", "raw-messages[0]@9")
        == "nothing in quarantine came from raw-messages[0]@9"
    )


def test_a_quarantined_record_goes_back_whole_under_a_new_generation(commands: Commands) -> None:
    set_aside(commands, 7, value=b"whole")
    done = commands.json("quarantine", "replay", "raw-messages[0]@7", "--wait-seconds", "0")
    assert done == {
        "generation": done["generation"],
        "records": 1,
        "left": 0,
        "outcomes": {"written": 0, "quarantined": 0, "unsettled": 1},
    }
    (message,) = written(commands)
    assert (message.key(), message.value(), generation_of(message.headers())) == (
        b"\xffk",
        b"whole",
        done["generation"],
    )
    assert (header(message.headers(), "tenant"), header(message.headers(), "traceparent")) == (
        b"acme",
        b"\xff",
    )
    assert commands.json("quarantine", "list") == {"quarantined": []}
    assert len(commands.json("quarantine", "list", "--state", "replayed")["quarantined"]) == 1
    assert commands.json("quarantine", "replay", "--wait-seconds", "0", "--all") == {
        "generation": None,
        "records": 0,
        "left": 0,
    }
    assert (
        commands.json("quarantine", "replay", "raw-messages[0]@7", "--wait-seconds", "0")["records"]
        == 1
    )  # by its place it goes again
    assert (
        commands.fails("quarantine", "replay", "raw-messages[0]@8")
        == "nothing in quarantine came from raw-messages[0]@8"
    )


def test_of_two_topics_of_one_name_only_the_chosen_record_goes_back(commands: Commands) -> None:
    commands.json("tenants", "add", "acme")
    set_aside(commands, 7, value=b"former", tenant="other", topic_id="first")
    set_aside(commands, 7, value=b"chosen", topic_id="second")
    done = commands.json("quarantine", "replay", "--tenant", "acme", "--wait-seconds", "0")
    assert done["records"] == 1
    assert [message.value() for message in written(commands)] == [b"chosen"]
    left = commands.json("quarantine", "list", "--state", "new")["quarantined"]
    assert [one["tenant_id"] for one in left] == ["other"]


def test_many_quarantined_records_go_back_a_few_at_a_time(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "MOST_RECORDS", 3)
    commands.json("tenants", "add", "acme")
    for offset in range(8):
        set_aside(commands, offset, value=b"%d" % offset, tenant="acme" if offset < 7 else "other")
    set_aside(commands, 90, stage="store_media", topic="media")
    result = commands.run(
        "quarantine", "replay", "--tenant", "acme", "--wait-seconds", "0", "--json"
    )
    document = json.loads(result.stdout)
    assert (document["records"], document["left"]) == (7, 1)
    assert [line for line in result.stderr.splitlines() if line.endswith("of 7 records")] == [
        "3 of 7 records",
        "6 of 7 records",
        "7 of 7 records",
    ]
    assert "sensorium replay attachments --reason quarantined" in result.stderr
    assert sorted(message.value() for message in written(commands)) == [
        b"%d" % offset for offset in range(7)
    ]
    assert [one["place"] for one in commands.json("quarantine", "list")["quarantined"]] == [
        "raw-messages[0]@7",
        "media[0]@90",
    ]


def test_records_of_later_stages_go_back_where_they_came_from(commands: Commands) -> None:
    set_aside(commands, 1, stage="assemble", topic="enrichments")
    set_aside(commands, 2, stage="sink", topic="enriched-messages")
    assert commands.json("quarantine", "replay", "--wait-seconds", "0", "--all")["records"] == 2
    for topic in ("enrichments", "enriched-messages"):
        (message,) = written(commands, topic)  # type: ignore[arg-type]
        assert (message.value(), generation_of(message.headers())) == (b"{", 0)


def test_a_quarantined_receipt_is_refused_and_holds_up_nothing_else(commands: Commands) -> None:
    set_aside(commands, 1, stage="sink", topic="receipts")
    refused = "receipts[0]@1 cannot be replayed: of the records that the sink refused, only those of enriched-messages can"
    assert commands.fails("quarantine", "replay", "receipts[0]@1") == refused
    assert commands.fails("quarantine", "replay", "--wait-seconds", "0", "--all") == refused
    set_aside(commands, 3, stage="store_media", topic="media")
    assert commands.json("quarantine", "replay", "--wait-seconds", "0", "--all") == {
        "generation": None,
        "records": 0,
        "left": 2,
    }
    set_aside(commands, 2, stage="sink", topic="enriched-messages")
    set_aside(commands, 4, stage="sink", topic="receipts")
    result = commands.run("quarantine", "replay", "--wait-seconds", "0", "--all", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["records"], document["left"]) == (0, 1, 3)
    assert refused.replace(" cannot", " and 1 more cannot") in result.stderr
    assert "1 are jobs of finished messages" in result.stderr
    assert [message.value() for message in written(commands, "enriched-messages")] == [b"{"]
    assert written(commands, "receipts") == []
    assert [one["place"] for one in commands.json("quarantine", "list")["quarantined"]] == [
        "receipts[0]@1",
        "media[0]@3",
        "receipts[0]@4",
    ]


def test_a_quarantined_record_is_shown_as_text_with_the_body_it_brought(commands: Commands) -> None:
    raw = RawMessage(
        tenant_id=TenantId("acme"),
        provider="ycloud",
        message_key=MessageKey("acme:ycloud:1"),
        endpoint_id="ep_1",
        received_at=NOW,
        body="this is not JSON { ñ".encode(),
    )
    set_aside(commands, 7, value=encode(raw))
    (shown,) = commands.json("quarantine", "show", "raw-messages[0]@7")["quarantined"]
    assert shown["record"]["body"] == "this is not JSON { ñ"
    assert shown["record"]["endpoint_id"] == "ep_1"
    text = commands.run("quarantine", "show", "raw-messages[0]@7").stdout
    assert "  body: this is not JSON { ñ\n" in text and "base64" not in text
    assert NOW.isoformat()[:10] in commands.run("quarantine", "list").stdout


def test_what_is_not_a_record_of_its_topic_is_shown_as_far_as_it_is_text(
    commands: Commands,
) -> None:
    set_aside(commands, 1, value=b"{")
    set_aside(commands, 2, value=b"\xff\x00")
    shown = [
        commands.json("quarantine", "show", f"raw-messages[0]@{n}")["quarantined"][0]["record"]
        for n in (1, 2)
    ]
    assert [one["text"] for one in shown] == ["{", "base64:/wA="]
    assert all("not in the wire format" in one["undecodable"] for one in shown)


def test_dismissed_records_leave_the_list_and_are_not_replayed(commands: Commands) -> None:
    for offset in range(3):
        set_aside(commands, offset)
    assert commands.json("quarantine", "dismiss", "raw-messages[0]@1") == {"dismissed": 1}
    assert "nothing new in quarantine" in commands.fails(
        "quarantine", "dismiss", "raw-messages[0]@1"
    )
    assert "choose records" in commands.fails("quarantine", "dismiss")
    assert commands.json("quarantine", "dismiss", "--stage", "assemble") == {"dismissed": 0}
    assert commands.json("quarantine", "dismiss", "--reason", "not_json") == {"dismissed": 2}
    assert commands.json("quarantine", "list") == {"quarantined": []}
    listed = commands.json("quarantine", "list", "--state", "dismissed")["quarantined"]
    assert len(listed) == 3
    replayed = commands.json("quarantine", "replay", "--wait-seconds", "0", "--all")
    assert (replayed["records"], written(commands)) == (0, [])
    logged = commands.database(
        lambda connection: connection.fetch("SELECT tenant_id, action, detail FROM audit_log")
    )
    assert [tuple(row) for row in logged] == [
        ("acme", "quarantine dismiss", "1 record: raw-messages[0]@1"),
        ("acme", "quarantine dismiss", "2 records: not_json"),
    ]
