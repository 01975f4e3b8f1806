"""Keeps the clients of a role working when brokers disappear and return.

A librdkafka client (at least 2.13 to 2.16) never connects again once a broker has told
it that the cluster has no brokers, as brokers do for a moment while they are fenced or
restarted. It then drops every address it knows, including the bootstrap servers
(https://github.com/confluentinc/librdkafka/issues/5301). Therefore a client that asks
the brokers repeatedly is held in a `Renewed`, or its owner replaces it after a failure.
A consumer that reads all the time would only receive nothing more; a `ConsumerContact`
detects that.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from schemas.settings import Kafka
from storage.errors import StorageError
from storage.kafka.client import QUIET, client_config
from storage.waiting import Deadline

SILENT_SECONDS = 20.0
ANSWER_SECONDS = 5.0
AGAIN_SECONDS = 15.0
"""Longer than librdkafka's pause between two tries to connect (10 s plus jitter)."""
C = TypeVar("C")
T = TypeVar("T")


class CutOff(StorageError):
    """A consumer gets no answer from brokers that answer a new client.

    Its role has to end.
    """


class Renewed(Generic[C]):
    """A client that is created on first use, and replaced after a call that failed."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._client: C | None = None

    def call(self, question: Callable[[C], T]) -> T:
        """Calls `question` with the client.

        Returns its result, and raises what it raises.
        """
        client, self._client = self._client or self._make(), None
        answer = question(client)
        self._client = client
        return answer


def renewed_admin(settings: Kafka) -> Renewed[AdminClient]:
    return Renewed(lambda: AdminClient(client_config(settings) | QUIET))


def metadata_within(seconds: float) -> Callable[[AdminClient], ClusterMetadata]:
    """A question for a client: the brokers and all topics."""
    return lambda admin: admin.list_topics(timeout=seconds)


class ConsumerContact:
    """Detects a consumer that is cut off from brokers that are running."""

    def __init__(self, settings: Kafka, consumer: Consumer, topic: str) -> None:
        self._settings = settings
        self._consumer = consumer
        self._topic = topic
        self.note_contact()

    def note_contact(self) -> None:
        """Notes that the consumer received something."""
        self._silence = Deadline(SILENT_SECONDS)
        self._is_suspect = False

    def check(self) -> None:
        """Checks the connection. Call it in the consumer's thread while it receives nothing.

        It does nothing until SILENT_SECONDS have passed. Then it asks the brokers, and
        blocks for at most 2 * ANSWER_SECONDS. Raises CutOff if they answer a new client and
        not this one, twice in a row, because after an outage a working client connects
        again within AGAIN_SECONDS.
        """
        if not self._silence.has_passed:
            return
        was_suspect = self._is_suspect
        self.note_contact()
        try:
            self._consumer.list_topics(self._topic, timeout=ANSWER_SECONDS)
        except KafkaException:
            if not self._is_anybody_there():
                return
            if was_suspect:
                raise CutOff(
                    f"the consumer of {self._topic} lost all brokers, which answer a new client"
                ) from None
            self._silence, self._is_suspect = Deadline(AGAIN_SECONDS), True

    def _is_anybody_there(self) -> bool:
        admin = AdminClient(client_config(self._settings) | QUIET)
        with suppress(KafkaException):
            admin.list_topics(self._topic, timeout=ANSWER_SECONDS)
            return True
        return False
