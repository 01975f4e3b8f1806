"""Claims on a real broker: its transactions, its compaction, and the changelogs of older programs."""

import random
import time
from collections.abc import Callable

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from lane_world import World

from schemas.settings import Settings
from schemas.topics import Names, claims_changelog, claims_config
from storage.kafka.client import client_config, transactional_producer_config
from storage.kafka.topics import apply_topics
from streams.lanes import claims
from streams.lanes.claims import ClaimedKeys
from streams.lanes.parked import parked_reason
from streams.lanes.transactions import PartitionTransactions, Transaction
from streams.repair.take_over import NotYet, TakeOver, lane_of
from tests.topics import make_topics

SECONDS = 90.0
"""The broker's cleaner pauses for 15 s after it found nothing to clean."""


def waited_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.mark.slow
def test_compaction_shortens_the_changelog_and_loses_no_claim(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BLOCK_IDS", 20)
    world = World(stack.kafka, namespace)
    world.make("in", "out", "receipts")
    soon = {"segment.ms": "500", "min.cleanable.dirty.ratio": "0.001"}
    world.make("log", **(claims_config(stack.kafka) | soon))
    generator = random.Random(5)
    known: dict[bytes, int] = {}
    records = 0
    for _ in range(6):
        transactions, state = world.transactions(), ClaimedKeys()
        transactions.open(state)
        assert all(digest in state for digest in known)
        for offset in range(60):
            made = [generator.randbytes(16) for _ in range(generator.randint(0, 3))]
            for digest in made:
                assert digest not in state
                state.claim(digest, 20_000)
            changelog = state.changelog()
            transactions.commit(Transaction([], changelog, len(known) + offset + 1))
            known |= dict.fromkeys(made, 20_000)
            records += len(changelog)
        _left_open(world, state)
        transactions.close()
    last = world.transactions()
    last.open(ClaimedKeys())  # the fence ends what was left open
    waited_for(lambda: len(world.read("log")) < records // 2, "the broker cleans")
    again = ClaimedKeys()
    world.transactions().open(again)
    assert (len(again), all(digest in again for digest in known)) == (len(known), True)


def _left_open(world: World, state: ClaimedKeys) -> None:
    """Leaves a transaction open with the next claims, as an owner that died does.

    Committed records have the keys of its records too.
    """
    for number in range(25):
        state.claim(bytes((255, number)) * 8, 20_000)
    producer = Producer(
        transactional_producer_config(world.kafka, world.identity().transactional_id)
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for key, value in [*state.changelog(), (b"tail 0", claims.with_day(20_000, b"\xfe" * 16))]:
        producer.produce(world.topic("log"), value, key, 0)
    producer.flush(30)


def test_a_newer_programs_claims_park_the_partition(world: World) -> None:
    first = world.transactions()
    first.open(ClaimedKeys())
    first.commit(Transaction([], [(b"tail 0", b"\x02whatever")], 1))
    with pytest.raises(Exception) as found:
        world.transactions().open(ClaimedKeys())
    assert parked_reason(found.value) == "version_unknown"


def test_the_changelog_of_an_older_program_gets_the_new_clean_up(
    pipeline_topics: Names, stack: Settings, namespace: str
) -> None:
    name = claims_changelog(pipeline_topics).removeprefix(f"{namespace}-")
    World(stack.kafka, namespace).make(name, **{"cleanup.policy": "delete"})
    applied = apply_topics(stack.kafka, pipeline_topics)
    assert (claims_changelog(pipeline_topics), "configured") in [
        (one.topic, one.change) for one in applied
    ]
    admin, wanted = AdminClient(client_config(stack.kafka)), claims_config(stack.kafka)
    resource = ConfigResource(ResourceType.TOPIC, claims_changelog(pipeline_topics))

    def is_shown() -> bool:
        (described,) = admin.describe_configs([resource]).values()
        found = {key: entry.value for key, entry in described.result(30).items()}
        return {key: found[key] for key in wanted} == wanted

    waited_for(is_shown, "the broker shows the new clean-up")


def test_a_further_set_of_topics_takes_over_all_claims(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BLOCK_IDS", 20)
    before = msgspec.structs.replace(stack, namespace=namespace)
    kafka = msgspec.structs.replace(stack.kafka, partitions=2 * stack.kafka.partitions)
    now = msgspec.structs.replace(stack, namespace=f"{namespace}.2", kafka=kafka)
    for one in (before, now):
        make_topics(one.kafka, Names(one.namespace))
    name = claims_changelog(Names(namespace)).removeprefix(f"{namespace}-")
    log = World(stack.kafka, namespace, stack.kafka.partitions)
    log.make(name, **claims_config(stack.kafka))
    generator = random.Random(9)
    known: dict[int, list[bytes]] = {}
    for partition in range(stack.kafka.partitions):
        state = ClaimedKeys()
        known[partition] = [generator.randbytes(16) for _ in range(47)]
        for digest in known[partition]:
            state.claim(digest, 20_000)
            for key, value in state.changelog():
                log.produce(name, value or b"", key=key, partition=partition)
    for _ in range(2):  # whoever runs it again gets no more of them
        taking = TakeOver(now, namespace)
        taken = {one.partition: one.claims for one in taking.take()}
        assert taken == dict.fromkeys(range(kafka.partitions), 47)
    for partition in range(kafka.partitions):
        opening = PartitionTransactions(kafka, lane_of(Names(now.namespace), partition))
        state = ClaimedKeys()
        assert opening.open(state) == 0
        assert all(digest in state for digest in known[partition % stack.kafka.partitions])
        opening.close()


@pytest.mark.parametrize("state", ["cannot be seen", "never had a record"])
def test_nothing_is_taken_over_from_claims_that_are_not_there_unless_a_person_says_so(
    stack: Settings, namespace: str, state: str
) -> None:
    now = msgspec.structs.replace(stack, namespace=f"{namespace}.2")
    for one in (Names(namespace), Names(now.namespace)):
        make_topics(stack.kafka, one)
    name = claims_changelog(Names(namespace)).removeprefix(f"{namespace}-")
    log = World(stack.kafka, namespace, stack.kafka.partitions)
    if state == "never had a record":
        log.make(name, **claims_config(stack.kafka))
    with pytest.raises(NotYet) as refused:
        TakeOver(now, namespace)
    assert state in str(refused.value) and "--nothing-claimed" in str(refused.value)
    taking = TakeOver(now, namespace, nothing_claimed=True)
    taking.ready()
    nothing = dict.fromkeys(range(stack.kafka.partitions), 0)
    assert {one.partition: one.claims for one in taking.take()} == nothing
    opening = PartitionTransactions(stack.kafka, lane_of(Names(now.namespace), 0))
    opening.open(ClaimedKeys())  # it may begin
    opening.close()


def test_claims_that_are_there_are_never_left_out(stack: Settings, namespace: str) -> None:
    now = msgspec.structs.replace(stack, namespace=f"{namespace}.2")
    for one in (Names(namespace), Names(now.namespace)):
        make_topics(stack.kafka, one)
    name = claims_changelog(Names(namespace)).removeprefix(f"{namespace}-")
    log = World(stack.kafka, namespace, stack.kafka.partitions)
    log.make(name, **claims_config(stack.kafka))
    log.produce(name, claims.with_day(20_000, b"d" * 16), key=b"tail 0", partition=1)
    with pytest.raises(NotYet, match="has claims"):
        TakeOver(now, namespace, nothing_claimed=True)
    with pytest.raises(NotYet, match=r"\.3-raw-messages cannot be seen"):
        TakeOver(now, f"{namespace}.3")


def test_the_source_of_a_set_that_was_given_partitions_in_place_does_not_decide_where_claims_are(
    stack: Settings, namespace: str
) -> None:
    grown = msgspec.structs.replace(stack.kafka, partitions=stack.kafka.partitions + 1)
    now = msgspec.structs.replace(stack, namespace=f"{namespace}.2")
    make_topics(grown, Names(namespace))
    make_topics(now.kafka, Names(now.namespace))
    name = claims_changelog(Names(namespace)).removeprefix(f"{namespace}-")
    log = World(stack.kafka, namespace, stack.kafka.partitions)
    log.make(name, **claims_config(stack.kafka))
    log.produce(name, claims.with_day(20_000, b"d" * 16), key=b"tail 0", partition=1)
    taking = TakeOver(now, namespace)
    taking.ready()
    assert [one.claims for one in taking.take()] == [0, 1, 0, 0]
