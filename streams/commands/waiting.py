"""Explains in words why attachments wait or failed, from the notes of the job stages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from storage.postgres.sql import queries


class Fetches(Protocol):
    """A connection or a pool."""

    async def fetch(self, query: str, *arguments: Any) -> Sequence[Any]: ...


async def waits_of(
    connection: Fetches, tenant: str, message_key: str, attachments: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Returns one entry per job of the message that waits, or that failed with a noted cause.

    A pending attachment without a note was not tried yet. If its tenant's jobs are
    held, the reason is that of the other jobs.
    """
    rows = await connection.fetch(queries("job_attempts")["of_message"], tenant, message_key)
    waits = [dict(row) for row in rows]
    tried = {row["attachment_index"] for row in rows if row["next_at"] is not None}
    untried = [
        (attachment["index"], stage_of(attachment))
        for attachment in attachments
        if attachment.get("status") == "pending" and attachment["index"] not in tried
    ]
    if untried:
        held = await connection.fetch(queries("job_attempts")["waiting"], tenant)
        waits += [_untried(index, stage, held) for index, stage in untried]
    return waits


def stage_of(attachment: Mapping[str, Any]) -> str:
    """Returns the stage whose job a pending attachment waits for.

    A file that is stored already has a URL of ours.
    """
    if attachment.get("url") is None:
        return "store_media"
    return "transcribe" if attachment.get("type") == "audio" else "describe"


def _untried(index: int, stage: str, held: Sequence[Any]) -> dict[str, Any]:
    cause = next((row for row in held if row["stage"] == stage and holds(row["cause"])), None)
    return {
        "stage": stage,
        "attachment_index": index,
        "attempts": 0,
        "cause": None if cause is None else cause["cause"],
        "detail": "" if cause is None else cause["detail"],
        "next_at": None if cause is None else cause["next_at"],
    }


def holds(cause: str) -> bool:
    """True if such trouble may hold all jobs of a tenant.

    It concerns their model or key then.
    """
    return cause.startswith("model_")


def why(wait: Mapping[str, Any]) -> str:
    """Returns the cause and the server's message, without repetition."""
    cause, detail = wait["cause"] or "", wait["detail"] or ""
    return detail if detail.startswith(cause) else f"{cause}: {detail}".strip(": ")


def line_of(wait: Mapping[str, Any]) -> str:
    """Formats a wait as one line."""
    place = f"{wait['stage']} [{wait['attachment_index']}]"
    if not wait["attempts"]:
        held = f"; jobs of its tenant are held: {why(wait)}" if wait["cause"] else ""
        return f"waits   {place}, not tried yet{held}{_next(wait['next_at'])}"
    attempts = f"tried {counted(wait['attempts'], 'time')} since {clock(wait['first_at'])}"
    if wait["next_at"] is None:
        return f"failed  {place}, {attempts}: {why(wait)}"
    return f"waits   {place}, {attempts}: {why(wait)}{_next(wait['next_at'])}"


def counted(number: int, noun: str) -> str:
    """Formats a number with its noun, as in `1 job` and `2 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def _next(moment: datetime | None) -> str:
    return "" if moment is None else f"; next try {clock(moment)}"
