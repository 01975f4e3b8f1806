"""Kafka client settings for every librdkafka and aiokafka client of the project."""

import logging
import ssl
from typing import Any

from schemas.settings import Kafka
from schemas.topics import MAX_RECORD_BYTES

ClientConfig = dict[str, Any]
QUIET: ClientConfig = {"log_level": 2}
"""Silences librdkafka in commands, which report their own errors in one line."""

METADATA_SECONDS = 10.0
"""The age at which a member of a consumer group asks again for the topics and their partitions.

A member that joins just after a topic was created may not see it yet. The group then assigns
no partition of it, and nobody reads it until the next such request. The clients' default
is 300 s.
"""


def client_config(settings: Kafka) -> ClientConfig:
    """The settings that every librdkafka client needs to reach the brokers."""
    config: ClientConfig = {
        # Its default is stderr, outside of our log.
        "logger": logging.getLogger("librdkafka"),
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.security_protocol,
    }
    if settings.sasl_mechanism:
        config |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.sasl_username,
            "sasl.password": str(settings.sasl_password),
        }
    if settings.ssl_ca_file:
        config["ssl.ca.location"] = settings.ssl_ca_file
    return config


def transactional_producer_config(settings: Kafka, transactional_id: str) -> ClientConfig:
    """A producer that writes successive transactions under `transactional_id`.

    `retry.backoff.ms` is 10 because EndTxn is answered before the markers are written:
    the next transaction then gets CONCURRENT_TRANSACTIONS and waits for one back-off.
    With the default of 100 ms this shows in the p99 (measured: 217 ms against 39 ms).
    """
    timeout_ms = int(settings.transaction_timeout_seconds * 1000)
    return client_config(settings) | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
        "message.timeout.ms": timeout_ms,
        "linger.ms": 2,
        "retry.backoff.ms": 10,
        "retry.backoff.max.ms": 1000,
        "partitioner": "murmur2_random",
        "message.max.bytes": MAX_RECORD_BYTES,
        "batch.num.messages": 10_000,
        "batch.size": 1_000_000,
        "queue.buffering.max.messages": 1_000_000,
        # Per lane. A larger transaction waits until the brokers have taken its first part.
        "queue.buffering.max.kbytes": 65_536,
    }


def reader_config(settings: Kafka, group: str) -> ClientConfig:
    """A read_committed consumer that does not commit by itself.

    The isolation level is explicit, because read_committed is the default of librdkafka
    only; other clients default to read_uncommitted.
    """
    return client_config(settings) | {
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
    }


def plain_producer_config(settings: Kafka) -> ClientConfig:
    """An idempotent producer with acks=all, for tools, the sink and the receiver."""
    return client_config(settings) | {
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 1,
        "partitioner": "murmur2_random",
        "message.max.bytes": MAX_RECORD_BYTES,
    }


def ssl_context(settings: Kafka) -> ssl.SSLContext | None:
    """The TLS context for aiokafka, which takes a context instead of a file name."""
    if "SSL" not in settings.security_protocol:
        return None
    return ssl.create_default_context(cafile=settings.ssl_ca_file or None)
