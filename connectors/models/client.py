"""The openai client, one a key, and what its errors mean."""

import asyncio
import json
import math
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import openai

from schemas.outcomes import Unavailable
from schemas.settings import Openai

MAX_CLIENTS = 200
LONGEST_RETRY_AFTER_SECONDS = 300.0
BAD_KEY_SECONDS = 30.0
NO_QUOTA_SECONDS = 120.0
_OF_THE_ITEM = frozenset({400, 413, 415, 422})
"""What the API says of this one file. Any other 4xx says that we ask the wrong way: it waits until a person mended that."""
_OF_THE_KEY = frozenset(
    {
        "invalid_api_key",
        "model_not_found",
        "billing_not_active",
        "billing_hard_limit_reached",
        "account_deactivated",
    }
)
"""Codes of the key's or the model's trouble, whatever the status: some servers say 400 to all."""
_REFUSALS = re.compile(
    r"^\W*(?:(?:i['’]?m|i am) (?:very |really )?sorry[,.;]? (?:but )?(?:i (?:can['’]?t|cannot|am unable|won['’]?t)|i['’]?m (?:unable|not able))"
    r"|(?:unfortunately,? )?(?:i (?:can['’]?t|cannot|am unable to|am not able to|won['’]?t be able to)|i['’]?m (?:unable|not able) to)"
    r" (?:assist|help|describe|identify|provide|comply|process|analy[sz]e|view)\b"
    r"|lo (?:siento|lamento),? (?:pero )?no (?:puedo|me es posible)|no puedo (?:ayudar|describir|identificar|asistir|proporcionar|procesar|analizar)"
    r"|(?:desculpe|sinto muito|lamento),? (?:mas )?(?:eu )?n[aã]o (?:posso|consigo)"
    r"|(?:je suis )?d[eé]sol[eé]e?,? (?:mais )?je ne peux pas|es tut mir leid,? (?:aber )?(?:ich|dabei) kann|mi dispiace,? (?:ma )?non posso)",
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
        except (
            openai.APIError,
            json.JSONDecodeError,
            ValueError,
            TypeError,
            AttributeError,
            LookupError,
            RecursionError,
        ) as error:
            raise Unavailable(
                "model", 5.0, detail=f"malformed answer: {type(error).__name__}"
            ) from error


def _meaning(error: openai.APIStatusError) -> Exception:
    status = error.status_code
    if status == 429:
        out_of_quota = "insufficient_quota" in str(error.code or "") or "insufficient_quota" in str(
            error.message
        )
        return Unavailable(
            "model",
            NO_QUOTA_SECONDS if out_of_quota else _retry_after(error.response.headers),
            hold=True,
            detail="429",
        )
    if status in (408, 409, 425) or status >= 500:
        return Unavailable("model", _retry_after(error.response.headers), detail=str(status))
    if status in _OF_THE_ITEM and error.code not in _OF_THE_KEY:
        return Refused(f"{status} {error.code or ''}".strip())
    return Unavailable("model", BAD_KEY_SECONDS, hold=True, detail=str(status))


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, as the server asked by number or by date, within reason."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        asked = _seconds(headers.get(name, ""))
        if asked is not None:
            return min(max(asked / scale, 0.1), LONGEST_RETRY_AFTER_SECONDS)
    return 2.0


def _seconds(value: str) -> float | None:
    try:
        asked = float(value)
    except ValueError:
        try:
            asked = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(asked) else asked
