"""After everything else: no log of any role holds what a tenant's customers said, who they are, or a secret."""

import json
import re

from tests.pipeline import Pipeline

_SAID = (
    "la buena",
    "solo para uno",
    "un engaño",
    "ya arreglado",
    "seconds, loud",
    "pixels, mostly",
)
_NUMBERS = ("15550100001", "15550109999", "12025550147")
_SECRETS = re.compile(r"whsec_|sk_read_|signature=[0-9a-f]|stand-in:|/webhooks/\w+/[\w-]{20}")


def test_logs_tell_nothing_of_customers(pipeline: Pipeline) -> None:
    for name in pipeline.processes:
        text = pipeline.log_of(name)
        assert name in ("console", "stand-in") or text, (
            f"{name} logged nothing: the search would prove nothing"
        )
        for line in text.splitlines():
            held = [said for said in (*_SAID, *_NUMBERS) if said in line]
            assert not held and not _SECRETS.search(line), f"{name}: {line}"


def test_what_a_role_logs_is_json_a_line(pipeline: Pipeline) -> None:
    for name in pipeline.processes.keys() - {"stand-in"}:
        ours = [line for line in pipeline.log_of(name).splitlines() if '"event"' in line]
        assert ours or name == "console"
        for line in ours:
            json.loads(line)
