"""The openai client, one a key, and what its errors mean."""

import asyncio
import json
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import openai

from schemas.outcomes import Unavailable
from schemas.settings import Openai

MAX_CLIENTS = 200
LONGEST_RETRY_AFTER_SECONDS = 300.0
BAD_KEY_SECONDS = 30.0
NO_QUOTA_SECONDS = 120.0
_REFUSALS = re.compile(
    r"^\W*(?:i['’]?m sorry,? (?:but )?i (?:can['’]?t|cannot|am unable)|i (?:can['’]?t|cannot|am unable to|am not able to) (?:assist|help|describe|identify|provide)"  # noqa: E501
    r"|i['’]?m (?:unable|not able) to (?:assist|help|describe|identify|provide)"
    r"|lo siento,? (?:pero )?no puedo|no puedo (?:ayudar|describir|identificar|asistir)"
    r"|desculpe,? (?:mas )?(?:eu )?n[aã]o posso|sinto muito,? (?:mas )?(?:eu )?n[aã]o posso)",
    re.IGNORECASE,
)


class Refused(Exception):
    """The API will not answer this, now or later."""


@dataclass
class Stopwatch:
    began: float

    @property
    def ms(self) -> int:
        return round((time.monotonic() - self.began) * 1000)


def is_refusal(text: str) -> bool:
    """Whether an answer says that it will not answer. Conservative: only how models begin a refusal."""
    return _REFUSALS.match(text) is not None


class Clients:
    """AsyncOpenAI by key. Its own retries are off: a job's retry is the queue's business."""

    def __init__(self, settings: Openai) -> None:
        self._settings = settings
        self._clients: OrderedDict[str, openai.AsyncOpenAI] = OrderedDict()

    def of(self, api_key: str | None) -> openai.AsyncOpenAI:
        key = api_key or str(self._settings.api_key) or "none"
        client = self._clients.pop(key, None)
        if client is None:
            client = openai.AsyncOpenAI(
                api_key=key,
                base_url=self._settings.base_url,
                max_retries=0,
                timeout=openai.Timeout(self._settings.timeout_seconds, connect=5.0),
            )
        self._clients[key] = client
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return client

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Stopwatch]:
        """Around one call: the whole of it under one deadline, its errors as ours.

        Raises Unavailable (with `hold` where the trouble is the key's or the whole model's), or Refused.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                yield Stopwatch(time.monotonic())
        except (TimeoutError, openai.APIConnectionError) as error:
            raise Unavailable("model", 2.0, detail=type(error).__name__) from error
        except openai.APIStatusError as error:
            raise _meaning(error) from error
        except (openai.APIError, json.JSONDecodeError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise Unavailable("model", 5.0, detail=f"malformed answer: {type(error).__name__}") from error


def _meaning(error: openai.APIStatusError) -> Exception:
    status = error.status_code
    if status == 429:
        out_of_quota = "insufficient_quota" in str(error.code or "") or "insufficient_quota" in str(error.message)
        return Unavailable("model", NO_QUOTA_SECONDS if out_of_quota else _retry_after(error.response.headers), hold=True, detail="429")
    if status in (401, 403, 404):
        return Unavailable("model", BAD_KEY_SECONDS, hold=True, detail=str(status))
    if status in (408, 409, 425) or status >= 500:
        return Unavailable("model", _retry_after(error.response.headers), detail=str(status))
    return Refused(f"{status} {error.code or ''}".strip())


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, as the server asked, within reason."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return min(max(float(value) / scale, 0.1), LONGEST_RETRY_AFTER_SECONDS)
        except ValueError:
            continue
    return 2.0
