"""The alert rules name metrics, labels and commands that exist."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import Counter, Gauge, Histogram
from ruamel.yaml import YAML

from connectors.models.errors import ModelTrouble
from schemas import metrics
from schemas.reasons import AttachmentReason, DeliveryReason
from streams.commands.main import COMMANDS

FILE = Path(__file__).parents[2] / "docs" / "alerts" / "sensorium.yml"
RULES: list[dict[str, Any]] = YAML(typ="safe").load(FILE)["groups"][0]["rules"]


def exported() -> dict[str, set[str]]:
    """Maps each metric, as it is scraped, to its labels."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            suffix = "_total" if isinstance(metric, Counter) else ""
            found[f"{metric._name}{suffix}"] = set(metric._labelnames)
    return found


def wrong_in(rule: dict[str, Any]) -> list[str]:
    """Metrics, labels and commands in a rule that do not exist."""
    expression, known = rule["expr"], exported()
    names = re.findall(r"sensorium_\w+", expression)
    wrong = [name for name in names if name not in known]
    labels = {label for name in names for label in known.get(name, ())}
    grouped = re.findall(r"by \(([^)]*)\)", expression)
    used = {label.strip() for group in grouped for label in group.split(",")}
    used |= set(re.findall(r"[{,](\w+)[!=~]", expression))
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    wrong += sorted((used - labels) | (shown - used))
    commands = re.findall(r"sensorium (\w[\w-]*)", rule["annotations"]["action"])
    return wrong + [name for name in commands if name not in COMMANDS]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_rule_is_about_what_is_exported(rule: dict[str, Any]) -> None:
    assert wrong_in(rule) == []
    assert rule["labels"]["severity"] in ("page", "ticket")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"expr": "sum(sensorium_no_such_metric) > 0"}, "sensorium_no_such_metric"),
        ({"expr": "max by (tenant) (sensorium_stage_stopped) == 1"}, "tenant"),
        ({"expr": 'sensorium_stage_stopped{color="red"} == 1'}, "color"),
        ({"annotations": {"action": "sensorium frobnicate"}}, "frobnicate"),
    ],
)
def test_a_rule_about_something_that_there_is_not_is_found(
    changed: dict[str, Any], expected: str
) -> None:
    assert expected in wrong_in(RULES[0] | changed)


def test_the_values_that_rules_compare_with_are_of_the_closed_lists() -> None:
    reasons = (*get_args(AttachmentReason), *get_args(DeliveryReason))
    closed = {"reason": reasons, "trouble": get_args(ModelTrouble)}
    for rule in RULES:
        for label, values in re.findall(r'(reason|trouble)[!=]~?"([^"]*)"', rule["expr"]):
            assert set(values.split("|")) <= set(closed[label])


def test_what_the_documentation_says_to_watch_has_a_rule() -> None:
    expressions = " ".join(rule["expr"] for rule in RULES)
    for name in ("sensorium_stage_stopped", "sensorium_attachments_failed_total"):
        assert name in expressions
