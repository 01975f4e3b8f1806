"""Kafka client settings, the same for every
librdkafka and aiokafka client of the project.
"""

import logging
import ssl
from typing import Any

from schemas.settings import Kafka
from schemas.topics import MAX_RECORD_BYTES

ClientConfig = dict[str, Any]
QUIET: ClientConfig = {"log_level": 2}
"""For commands: they say themselves what is wrong,
in one line, where librdkafka would fill the screen.
"""


def client_config(settings: Kafka) -> ClientConfig:
    """What every librdkafka client needs to reach the brokers."""
    config: ClientConfig = {
        "logger": logging.getLogger("librdkafka"),  # else it writes to stderr past our own log
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
    """A producer that writes one transaction after another under `transactional_id`.

    `retry.backoff.ms` 10: EndTxn answers before the markers are written, the
    next transaction then meets CONCURRENT_TRANSACTIONS and waits one
    back-off; the default of 100 ms shows as p99 (measured 217 against 39 ms).
    """
    timeout_ms = int(settings.transaction_timeout_seconds * 1000)
    return (
        client_config(settings)
        | {
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
            "queue.buffering.max.kbytes": 65_536,  # a lane; a larger transaction waits for the brokers to take the first part
        }
    )


def reader_config(settings: Kafka, group: str) -> ClientConfig:
    """A read_committed consumer that commits nothing by itself.

    It says so explicitly: librdkafka's default is read_committed,
    other clients' is not, and nobody should have to know.
    """
    return client_config(settings) | {
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
    }


def plain_producer_config(settings: Kafka) -> ClientConfig:
    """An idempotent producer that waits for all
    replicas, for tools and the sink's quarantine.
    """
    return client_config(settings) | {
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 1,
        "partitioner": "murmur2_random",
        "message.max.bytes": MAX_RECORD_BYTES,
    }


def ssl_context(settings: Kafka) -> ssl.SSLContext | None:
    """For aiokafka, which takes a context where librdkafka takes a file name."""
    if "SSL" not in settings.security_protocol:
        return None
    return ssl.create_default_context(cafile=settings.ssl_ca_file or None)
