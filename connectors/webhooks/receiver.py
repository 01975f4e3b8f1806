"""The webhook source connector: bytes in, durable, then 200. No framework, and no coroutine, on this path."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from connectors.webhooks.answers import HttpReply, Problem, text_reply
from connectors.webhooks.bulk import BulkLimits
from connectors.webhooks.chat import ChatPost
from connectors.webhooks.deliveries import Deliveries
from connectors.webhooks.delivery import Delivery
from connectors.webhooks.incoming import Incoming
from connectors.webhooks.openapi import document
from connectors.webhooks.ports import EndpointDirectory, RawTopic, Understanding
from connectors.webhooks.taking import ReceiverParts
from schemas.settings import ReceiverSettings

_WEBHOOKS = "/webhooks/"


class Receiver:
    """The application. `draining`: still answers, but is not ready for more."""

    def __init__(
        self,
        settings: ReceiverSettings,
        topic: str,
        raw_topic: RawTopic,
        directory: EndpointDirectory,
        understanding: Understanding,
    ) -> None:
        self._desk = ReceiverParts(settings, topic, raw_topic, directory, understanding)
        self.draining = False

    @property
    def bulk(self) -> BulkLimits:
        return self._desk.bulk

    @property
    def deliveries(self) -> Deliveries:
        return self._desk.deliveries

    @property
    def ready(self) -> bool:
        desk = self._desk
        return (
            desk.directory.loaded
            and desk.directory.healthy
            and desk.raw_topic.healthy
            and not self.draining
        )

    def drain(self) -> None:
        """Not ready for more from here on; what comes all the same is still answered."""
        self.draining = True

    def begin(self, request: Incoming) -> None:
        path = request.path
        if path.startswith(_WEBHOOKS):
            Delivery(self._desk, request, path[len(_WEBHOOKS) :]).begin()
        elif path == "/chat":
            ChatPost(self._desk, request).begin()
        else:
            self._operate(request)

    def _operate(self, request: Incoming) -> None:
        try:
            reply = self._operation(request.method, request.path)
        except Problem as problem:
            reply = problem.reply()
        self._desk.counts.request("none", reply.status)
        request.answer(reply)

    def _operation(self, method: str, path: str) -> HttpReply:
        if path not in ("/livez", "/readyz", "/metrics", "/openapi.json"):
            raise Problem(404, "Not Found")
        if method not in ("GET", "HEAD"):
            raise Problem(405, "Method Not Allowed", headers={"allow": "GET, HEAD"})
        if path == "/readyz":
            return text_reply(200, b"ready\n") if self.ready else text_reply(503, b"not ready\n")
        if path == "/metrics":
            return text_reply(200, generate_latest(), CONTENT_TYPE_LATEST)
        if path == "/openapi.json":
            return text_reply(200, document(), "application/json")
        return text_reply(200, b"alive\n")
