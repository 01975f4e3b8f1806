"""The plans of Postgres for statements."""

import json
from typing import Any

from tests.integration.databases import Connection


async def plan(connection: Connection, statement: str, *arguments: Any) -> dict[str, Any]:
    """The root of the plan, for these arguments."""
    found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *arguments)
    root: dict[str, Any] = json.loads(found)[0]["Plan"]
    return root


def walked(node: dict[str, Any]) -> set[str]:
    """Returns the tables that a plan reads from one end to the other."""
    found = {node["Relation Name"]} if node["Node Type"] == "Seq Scan" else set()
    for below in node.get("Plans", ()):
        found |= walked(below)
    return found
