"""Classifies the errors of Kafka clients for lanes."""

from confluent_kafka import KafkaError, KafkaException

_FENCED_CODES = frozenset(
    {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
)
_PASSING_CODES = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)


def is_fenced(error: BaseException) -> bool:
    """True if a later owner of the partition has taken the transactional id over."""
    return isinstance(error, KafkaException) and error.args[0].code() in _FENCED_CODES


def is_passing(error: KafkaError) -> bool:
    """True if a consumer's error comes from the brokers' state and ends by itself.

    Any other error does not, such as a missing topic or a missing right to read.
    """
    return error.retriable() or error.code() in _PASSING_CODES
