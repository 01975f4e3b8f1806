"""The credentials of Faust's clients, from the settings of librdkafka's clients."""

from typing import Any

import faust

from schemas.settings import Kafka
from storage.kafka.client import ssl_context


def credentials(kafka: Kafka) -> Any:
    """Faust's credentials, or None if the settings name neither SASL nor TLS."""
    context = ssl_context(kafka)
    if kafka.sasl_mechanism:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=str(kafka.sasl_password),
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None
