"""Messages of a conversation for tests, and its context as a bot asks for it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.console import response_models
from schemas.records import Attachment
from tests.integration.console import CONVERSATION, Console

CONTEXT = f"/api/conversations/{CONVERSATION}/context"
PENDING = Attachment(
    index=0, type="image", status="pending", original_url="https://files.example.com/1"
)


async def context(
    console: Console, query: str = "", path: str = CONTEXT, tenant: str = "acme"
) -> dict[str, Any]:
    answer = await console.get(f"{path}?{query}", tenant)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    response_models.Context.model_validate(document)
    return document


def ago(seconds: float) -> dict[str, datetime]:
    then = datetime.now(UTC) - timedelta(seconds=seconds)
    return {"received_at": then, "occurred_at": then}


def described(description: str, index: int = 0, **fields: Any) -> Attachment:
    return Attachment(
        **{
            "index": index,
            "type": "image",
            "status": "described",
            "description": description,
            **fields,
        }
    )


def voice(transcript: str, index: int = 0) -> Attachment:
    return Attachment(index=index, type="audio", status="transcribed", transcript=transcript)
