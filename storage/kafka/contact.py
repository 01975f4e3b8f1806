"""Clients that live as long as their role, and brokers that lose and find each other.

A librdkafka client (2.13 to 2.16 at least) never connects again once a broker told it that the
cluster has no broker, as brokers do for a moment while they are fenced or restarted: the client
drops every address it knows, also the bootstrap servers
(https://github.com/confluentinc/librdkafka/issues/5301). Therefore whatever asks the brokers again
and again stands in a `Renewed`, or its owner makes it anew after a failure. A consumer that reads
all the time would only hear nothing more: a `ConsumerContact` looks after it.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient

from schemas.settings import Kafka
from storage.errors import StorageError
from storage.kafka.client import QUIET, client_config
from storage.waiting import Deadline

SILENT_SECONDS = 20.0
ANSWER_SECONDS = 5.0
C = TypeVar("C")
T = TypeVar("T")


class CutOff(StorageError):
    """A consumer gets no answer from brokers that answer a new client. Its role has to end."""


class Renewed(Generic[C]):
    """A client that is made when it is first needed, and made anew after a call that failed."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._client: C | None = None

    def call(self, question: Callable[[C], T]) -> T:
        """What `question` returns for the client. Raises what it raises."""
        client, self._client = self._client or self._make(), None
        answer = question(client)
        self._client = client
        return answer


def renewed_admin(settings: Kafka) -> Renewed[AdminClient]:
    return Renewed(lambda: AdminClient(client_config(settings) | QUIET))


class ConsumerContact:
    """Finds out whether a consumer that hears nothing is cut off from brokers that are there."""

    def __init__(self, settings: Kafka, consumer: Consumer, topic: str) -> None:
        self._settings = settings
        self._consumer = consumer
        self._topic = topic
        self._silence = Deadline(SILENT_SECONDS)

    def heard(self) -> None:
        """The consumer gave something."""
        self._silence = Deadline(SILENT_SECONDS)

    def check(self) -> None:
        """To be called in the consumer's thread while it gives nothing. Mostly does nothing.

        After SILENT_SECONDS it asks the brokers, and blocks for at most 2 * ANSWER_SECONDS.
        Raises CutOff.
        """
        if not self._silence.has_passed:
            return
        self._silence = Deadline(SILENT_SECONDS)
        try:
            self._consumer.list_topics(self._topic, timeout=ANSWER_SECONDS)
        except KafkaException:
            if self._is_anybody_there():
                raise CutOff(
                    f"the consumer of {self._topic} lost all brokers, which answer a new client"
                ) from None

    def _is_anybody_there(self) -> bool:
        admin = AdminClient(client_config(self._settings) | QUIET)
        with suppress(KafkaException):
            admin.list_topics(self._topic, timeout=ANSWER_SECONDS)
            return True
        return False
