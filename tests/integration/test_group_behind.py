from confluent_kafka import Consumer, Producer, TopicPartition

from storage.kafka.behind import GroupBehind
from storage.kafka.client import plain_producer_config, reader_config
from tests.integration.commands import Commands


def test_what_a_group_has_not_read_is_measured_in_its_own_pace(
    commands: Commands,
) -> None:
    kafka, topic = commands.settings.kafka, commands.names.topic("raw-messages")
    group = commands.names.group("dedupe")
    producer = Producer(plain_producer_config(kafka))
    for number in range(100):
        producer.produce(topic, b"x", b"key", number % 2)
    assert producer.flush(30) == 0
    member = Consumer(reader_config(kafka, group))

    def done(*offsets: int) -> None:
        places = [TopicPartition(topic, p, offset) for p, offset in enumerate(offsets)]
        member.commit(offsets=places, asynchronous=False)

    behind = GroupBehind(kafka, group, topic)
    try:
        assert (behind.records(), behind.seconds()) == ((0, 0), 0.0)
        done(0, 0)
        assert behind.records() == (0, 100)
        done(20, 20)
        assert behind.records() == (40, 60) and behind.seconds() > 0
        done(50, 50)
        assert (behind.records(), behind.seconds()) == ((100, 0), 0.0)
    finally:
        behind.close()
        member.close()
