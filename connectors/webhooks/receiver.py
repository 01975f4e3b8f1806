"""The webhook source connector: it makes a request's bytes durable, and then answers 200.

No framework and no coroutine is involved.
"""

import asyncio
import math
import time

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from connectors.webhooks.answers import BUG, HttpReply, Problem, text_reply
from connectors.webhooks.bulk import BulkLimits
from connectors.webhooks.chat import ChatPost
from connectors.webhooks.deliveries import Deliveries
from connectors.webhooks.delivery import Delivery
from connectors.webhooks.incoming import CLIENT_LEFT, Incoming
from connectors.webhooks.openapi import document
from connectors.webhooks.ports import EndpointDirectory, ProviderFunctions, RawTopic
from connectors.webhooks.request import ReceiverParts
from connectors.webhooks.siblings import Siblings
from schemas.settings import ReceiverSettings

log = structlog.get_logger()
_WEBHOOKS = "/webhooks/"
ASK_ALL_SECONDS = 5.0
"""The time limit for asking all siblings.

It is longer than the limit for one of them.
"""
METRICS_SECONDS = 0.25
"""The text of the metrics is reused for this long, because creating it takes a millisecond."""


class Probe:
    """The taker of a request that is answered later and whose body is ignored."""

    def more(self, chunk: bytes) -> None:
        pass

    def whole(self) -> None:
        pass

    def late(self) -> None:
        pass

    def gone(self, status: int = CLIENT_LEFT) -> None:
        pass


class Receiver:
    """The receiver's application. While `draining`, it still answers but is not ready."""

    def __init__(
        self,
        settings: ReceiverSettings,
        topic: str,
        raw_topic: RawTopic,
        directory: EndpointDirectory,
        functions: ProviderFunctions,
        siblings: Siblings | None = None,
    ) -> None:
        self._siblings = siblings
        self._asking: set[asyncio.Task[None]] = set()
        self._parts = ReceiverParts(settings, topic, raw_topic, directory, functions)
        self.draining = False
        self._metrics = b""
        self._metrics_until = -math.inf

    @property
    def bulk(self) -> BulkLimits:
        return self._parts.bulk

    @property
    def deliveries(self) -> Deliveries:
        return self._parts.deliveries

    @property
    def ready(self) -> bool:
        parts = self._parts
        return (
            parts.directory.loaded
            and parts.directory.healthy
            and parts.raw_topic.healthy
            and not self.draining
        )

    def drain(self) -> None:
        """Makes the receiver not ready. Requests that still arrive are answered."""
        self.draining = True

    async def answer_siblings(self) -> None:
        """Answers the questions of the siblings until it is cancelled."""
        if self._siblings is None:
            await asyncio.Event().wait()
        else:
            await self._siblings.serve(lambda: self.ready, self._metrics_text)

    def begin(self, request: Incoming) -> None:
        path = request.path
        if path.startswith(_WEBHOOKS):
            Delivery(self._parts, request, path[len(_WEBHOOKS) :]).begin()
        elif path == "/chat":
            ChatPost(self._parts, request).begin()
        else:
            self._operate(request)

    def refused(self, status: int) -> None:
        self._parts.counts.request("none", status)

    def _operate(self, request: Incoming) -> None:
        try:
            reply = self._operation(request.method, request.path)
        except Problem as problem:
            reply = problem.reply()
        else:
            if self._siblings is not None and request.path in ("/readyz", "/metrics"):
                request.taker = Probe()
                asking = asyncio.create_task(self._ask(self._siblings, request, reply))
                self._asking.add(asking)
                asking.add_done_callback(self._asking.discard)
                return
        self._answer(request, reply)

    async def _ask(self, siblings: Siblings, request: Incoming, own: HttpReply) -> None:
        """Answers a probe for this process and its siblings together."""
        try:
            async with asyncio.timeout(ASK_ALL_SECONDS):
                if request.path == "/metrics":
                    own = text_reply(200, await siblings.metrics(own.body), CONTENT_TYPE_LATEST)
                elif own.status == 200 and not await siblings.are_ready():
                    own = text_reply(503, b"not ready: another process of this receiver is not\n")
        except Exception as error:
            log.error("receiver_failed", exc_info=error)
            own = BUG
        self._answer(request, own)

    def _answer(self, request: Incoming, reply: HttpReply) -> None:
        self._parts.counts.request("none", reply.status)
        request.answer(reply)

    def _metrics_text(self) -> bytes:
        now = time.monotonic()
        if now >= self._metrics_until:
            self._metrics = generate_latest()
            self._metrics_until = now + METRICS_SECONDS
        return self._metrics

    def _operation(self, method: str, path: str) -> HttpReply:
        if path not in ("/livez", "/readyz", "/metrics", "/openapi.json"):
            raise Problem(404)
        if method not in ("GET", "HEAD"):
            raise Problem(405, headers={"allow": "GET, HEAD"})
        if path == "/readyz":
            return text_reply(200, b"ready\n") if self.ready else text_reply(503, b"not ready\n")
        if path == "/metrics":
            return text_reply(200, self._metrics_text(), CONTENT_TYPE_LATEST)
        if path == "/openapi.json":
            return text_reply(200, document(), "application/json")
        return text_reply(200, b"alive\n")
