"""One model server: its HTTP client, what it revealed about its models, and its errors."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import openai
import structlog

from connectors.models.capabilities import Traits, traits_of
from connectors.models.complaints import Complaint, complaint_of
from connectors.models.errors import (
    BAD_KEY_SECONDS,
    MALFORMED,
    Declined,
    FileRefused,
    ModelUnavailable,
    ParameterRejected,
    SoundTooLong,
    is_about_the_request,
    raise_meaning,
)
from connectors.models.requests import adapted
from connectors.models.servers import Server
from schemas.connections import why_unreachable

log = structlog.get_logger()

MOST_MODELS = 1_000
MOST_ADAPTATIONS = 8
CONNECT_SECONDS = 5.0
UPLOAD_BYTES_PER_SECOND = 125_000
"""The assumed rate of uploads: 1 Mbit/s, a slow line.

An upload must not use up the time that is meant for the answer.
"""
SECONDS_PER_SECOND_OF_SOUND = 0.5
"""The assumed time per second of sound: that of the slowest server that is supported.

A model on a processor needs 0.15 to 0.3 (measured).
"""
NOT_TAKEN_IN_A_ROW = 10
"""After this many successive refused files the fault is considered to be the server's."""
T = TypeVar("T")
Sent = Mapping[str, Any]
Ask = Callable[[openai.AsyncOpenAI, Traits], tuple[Sent, Callable[[], Awaitable[T]]]]
"""Returns the parameters of a request and the function that sends it.

It gets a client and the model's traits.
"""


class ModelServer:
    """Calls of one server, with one connection pool and one TLS context for all keys.

    Each call brings its own key. The client's own retries are off, because the queue
    decides when a job is tried again.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._turns = asyncio.Semaphore(server.jobs) if server.jobs else None
        self._client = openai.AsyncOpenAI(
            api_key="none",
            base_url=server.base_url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
            ),
        )
        self._learned: OrderedDict[str, Traits] = OrderedDict()
        self._not_taken: OrderedDict[str, int] = OrderedDict()

    async def close(self) -> None:
        await self._client.close()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until another call may be made.

        Files are prepared within the turn, not before.
        """
        async with self._turns or nullcontext():
            yield

    def traits(self, model: str) -> Traits:
        """The known traits of the model, with what this server revealed about it."""
        return self._learned.get(model) or traits_of(model)

    def deadline_seconds(self, sent_bytes: int, sound_seconds: float | None) -> float:
        """The deadline of one call: the setting, plus time for the upload and for the sound."""
        hearing = SECONDS_PER_SECOND_OF_SOUND * (sound_seconds or 0.0)
        return self.server.timeout_seconds + sent_bytes / UPLOAD_BYTES_PER_SECOND + hearing

    async def call(
        self,
        model: str,
        api_key: str | None,
        ask: "Ask[T]",
        *,
        sent_bytes: int = 0,
        sound_seconds: float | None = None,
    ) -> T:
        """Sends the request, in another form if the server rejects one, until it is answered.

        Raises Declined, FileRefused, SoundTooLong or SoundTooShort about the file, and
        ModelUnavailable, with `hold` if the fault concerns the key, the model or the
        request and so all jobs of the tenant.
        """
        deadline = self.deadline_seconds(sent_bytes, sound_seconds)
        client = self._client.with_options(
            api_key=self.server.key_for(api_key),
            timeout=openai.Timeout(deadline, connect=CONNECT_SECONDS),
        )
        for _ in range(MOST_ADAPTATIONS):
            traits = self.traits(model)
            sent, send = ask(client, traits)
            try:
                answer = await _answered(send, deadline)
            except openai.APIStatusError as error:
                self._heed(error, model, traits, sent, sound_seconds)
            else:
                self._not_taken.pop(model, None)
                return answer
        raise ModelUnavailable(
            "model_rejects_request",
            BAD_KEY_SECONDS,
            hold=True,
            more="the server accepts no form of the request",
        )

    def _heed(
        self,
        error: openai.APIStatusError,
        model: str,
        traits: Traits,
        sent: Sent,
        sound_seconds: float | None,
    ) -> None:
        """Returns if another form of the request was learned, else raises what the error means."""
        complaint = complaint_of(error.status_code, error.response.content)
        try:
            raise_meaning(complaint, error.response.headers, sound_seconds=sound_seconds)
        except ParameterRejected:
            self._learn(model, traits, complaint, sent)
        except SoundTooLong as long:
            longest = min(traits.sound_seconds or long.seconds, long.seconds)
            self._keep(model, replace(traits, sound_seconds=longest))
            raise
        except FileRefused:
            self._count_not_taken(model, complaint)
            raise
        except Declined:
            self._not_taken.pop(model, None)
            raise

    def _learn(self, model: str, traits: Traits, complaint: Complaint, sent: Sent) -> None:
        """Remembers the next form of the request, or raises if there is none."""
        own = {name: value for name, value in sent.items() if name not in self.server.extra}
        better = (
            None if complaint.names(sent) in self.server.extra else adapted(traits, complaint, own)
        )
        if better is None:
            if is_about_the_request(complaint) or complaint.names(sent):
                raise ModelUnavailable(
                    "model_rejects_request", BAD_KEY_SECONDS, hold=True, more=complaint.summary
                )
            self._count_not_taken(model, complaint)
            raise FileRefused(complaint.summary)
        if self.traits(model) == traits:  # another call may have learned it meanwhile
            self._keep(model, better)
        log.info("model_adapted", model=model, parameter=complaint.names(sent))

    def _keep(self, model: str, traits: Traits) -> None:
        self._learned[model] = traits
        self._learned.move_to_end(model)
        if len(self._learned) > MOST_MODELS:
            self._learned.popitem(last=False)

    def _count_not_taken(self, model: str, complaint: Complaint) -> None:
        """Raises ModelUnavailable once too many successive files were refused.

        The fault is then not that of the files.
        """
        self._not_taken[model] = self._not_taken.pop(model, 0) + 1
        if len(self._not_taken) > MOST_MODELS:
            self._not_taken.popitem(last=False)
        if self._not_taken[model] > NOT_TAKEN_IN_A_ROW:
            raise ModelUnavailable(
                "model_takes_nothing", BAD_KEY_SECONDS, hold=True, more=complaint.summary
            )


async def _answered(send: Callable[[], Awaitable[T]], deadline: float) -> T:
    """One call. Every failure except the API's own errors becomes ModelUnavailable."""
    try:
        async with asyncio.timeout(deadline):
            return await send()
    except openai.APIStatusError:
        raise
    except TimeoutError as error:
        raise ModelUnavailable("model_timeout", 2.0) from error
    except openai.APITimeoutError as error:
        reached = "Connect" not in type(error.__cause__).__name__
        raise ModelUnavailable("model_timeout" if reached else "model_unreachable", 2.0) from error
    except openai.APIConnectionError as error:
        more = why_unreachable(error)
        raise ModelUnavailable("model_unreachable", 2.0, more=more) from error
    except (openai.APIError, *MALFORMED) as error:
        raise ModelUnavailable("model_malformed_answer", 5.0, more=type(error).__name__) from error
