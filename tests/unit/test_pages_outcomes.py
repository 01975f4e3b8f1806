import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.console.pages.messages import shown_steps
from connectors.console.pages.trouble import stage_of
from connectors.console.pages.words import LANGUAGES, catalogue

AT = datetime(2026, 7, 14, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
_NOTED = re.compile(
    r'(?:note|_audit|_record)\((?:[^()"]|\[[^]]*\])*?,\s*(?:[^()"]*,\s*)?"([a-z_]+)"'
)


def step(stage: str, outcome: str, seconds: int) -> dict[str, object]:
    place = {"topic": "media", "partition": 0, "offset": seconds}
    return {"stage": stage, "outcome": outcome, "at": AT + timedelta(seconds=seconds)} | place


def test_a_step_that_failed_is_shown_as_failed_with_its_reason() -> None:
    rows = [
        step("dedupe", "forwarded", 0),
        step("store_media", "failed:media_gone", 2),
        step("describe", "skipped:outgoing", 3),
    ]
    assert [(one.outcome, one.reason, one.seconds) for one in shown_steps(rows)] == [
        ("forwarded", "", None),
        ("failed", "media_gone", 2.0),
        ("skipped", "outgoing", 1.0),
    ]


@pytest.mark.parametrize(
    ("reason", "type_", "stage"),
    [
        ("model_rejected_key", "audio", "transcribe"),
        ("model_rejected_key", "image", "describe"),
        ("quarantined", "image", ""),
        ("media_gone", "image", "store_media"),
    ],
)
def test_a_cause_names_the_stage_that_found_it(reason: str, type_: str, stage: str) -> None:
    assert stage_of(reason, type_) == stage


def noted() -> set[str]:
    """The actions that the program writes to the audit log as literals."""
    files = [
        path
        for folder in (
            "connectors/console",
            "storage/postgres",
            "streams/commands",
            "streams/repair",
        )
        for path in (ROOT / folder).rglob("*.py")
    ]
    return {name for path in files for name in _NOTED.findall(path.read_text())}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_action_of_the_audit_log_has_a_text(language: str) -> None:
    actions = noted()
    assert {"key_added", "endpoint_rotated", "messages_erased", "repair_applied"} <= actions
    assert {one for one in actions if f"action.{one}" not in catalogue(language)} == set()
