"""Explains which stage waits for what, and what to do, from the stages' metrics."""

import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from schemas.settings import Settings
from streams.local.home import Home
from streams.local.lifecycle import status
from streams.settings import to_environment

_SECONDS = 5.0
_DOCTOR_SECONDS = 90.0
_MEANS = {
    "model": "the model (SENSORIUM_OPENAI__BASE_URL, SENSORIUM_OPENAI__API_KEY)",
    "object_store": "the object store",
    "postgres": "Postgres",
    "kafka": "Kafka",
    "media": "the provider's files",
    "decoder": "the decoder",
}


def waits(home: Home, settings: Settings) -> list[str]:
    """Returns a line per stage that does not run or postpones jobs, and the findings of doctor."""
    lines = list(_of_stages(home))
    return [*lines, *_of_doctor(settings)] or [
        "no stage reports trouble, so this machine is slow or busy: sensorium trace MESSAGE_KEY"
    ]


def _of_stages(home: Home) -> Iterator[str]:
    for row in status(home):
        if row.state not in ("running", "elsewhere"):
            log = home.logs / f"{row.name}.log"
            yield f"{row.name} is {row.state}, not running: see the end of {log}"
        elif row.role.startswith("stream") and row.url:
            retries, unfinished = _jobs_at(f"{row.url}/metrics")
            for what, times in retries.items():
                yield (
                    f"{row.name} waits for {_MEANS.get(what, what)}: {unfinished} "
                    f"unfinished jobs, postponed {times} times"
                )


def _jobs_at(url: str) -> tuple[Counter[str], int]:
    """Returns the number of retries by cause, and the number of unfinished jobs."""
    retries, unfinished = Counter[str](), 0
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            text = answer.read().decode()
    except OSError:
        return retries, 0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "sensorium_stage_job_retries_total" and sample.value:
                retries[sample.labels["what"]] += int(sample.value)
            elif sample.name == "sensorium_stage_jobs_waiting":
                unfinished += int(sample.value)
    return (retries, unfinished) if unfinished else (Counter(), 0)


def _of_doctor(settings: Settings) -> Iterator[str]:
    others = {
        name: value for name, value in os.environ.items() if not name.startswith("SENSORIUM_")
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "streams.commands.main", "doctor", "--json"],
            env={**others, **to_environment(settings)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_DOCTOR_SECONDS,
        )
        parts = json.loads(done.stdout)["parts"]
    except (subprocess.TimeoutExpired, ValueError, LookupError):
        return
    for part in parts:
        if not part["ok"]:
            yield f"sensorium doctor: {part['part']}: {part['says']}"
