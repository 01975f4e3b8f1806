"""Faults by traffic: many equal deliveries, poison, and a tenant that sends or imports too much."""

import time

from confluent_kafka import Producer

from storage.kafka.client import plain_producer_config
from streams.local.samples import Sample
from streams.roles.stream import STRIKES
from tests.chaos.book import Item
from tests.chaos.fairness import NOISE_SECONDS, compare
from tests.chaos.programs import SECONDS_PER_RECORD, THIS
from tests.chaos.traffic import killer
from tests.chaos.world import World, listeners

MARKER = "chaos-killer"
KILLED_SECONDS = 90.0
QUIET_RATE = 0.3
"""Deliveries per second of a quiet tenant beside an import. They are enough for a p99."""
BESIDE_FLOOD_RATE = 0.15
"""Deliveries per second of a quiet tenant beside a flood.

With this rate the machine's cores are about half busy. With more, all tenants wait
longer, whoever sends: at 0.3 per second (36 in all) the others' p99 rose from 0.34 to
1.12 s on two cores, and to 1.20 s when all tenants sent the same number instead. The
processors are the limit then, in whichever order records are processed.
"""
FLOOD_TENANTS = 21
IMPORT_OUTSTANDING = 150
"""The messages in flight of an importing program. It sends a refused one again a little later."""


def storm(world: World) -> None:
    """Sends each of twenty ids fifty times, mixed, and a thousand ids at once.

    They go through two receivers.
    """
    world.crew.start("receive#2")
    world.must(lambda: listeners(world.pipeline.ports["receive"]) == 2, 60, "a second receiver")
    traffic, rng = world.generator.traffic, world.rng
    fifty = [
        traffic.make(rng.choice(world.senders), rng.choice(("text", "text", "image")))
        for _ in range(20)
    ] * 50
    rng.shuffle(fifty)
    world.say(f"{len(fifty)} deliveries of {len(fifty) // 50} ids")
    world.generator.send(fifty)
    world.must(lambda: world.generator.outstanding < 50, 120, "the storm of repeats is over")
    world.say("1000 deliveries at once")
    world.generator.send([traffic.make(rng.choice(world.senders), "text") for _ in range(1000)])
    world.must(lambda: world.generator.outstanding < 50, 120, "the storm of a thousand is over")
    world.crew.stop("receive#2")


def undecodable(world: World) -> None:
    """Writes bytes that are not a record to the receiver's topic. The receiver never does that."""
    producer = Producer(plain_producer_config(world.pipeline.settings.kafka))
    topic = world.pipeline.names.topic("raw-messages")
    for number in range(20):
        sender = world.rng.choice(world.senders)
        item = Item(
            Sample("undecodable", "ycloud", b"", f"broken-{number}"), sender.tenant, "undecodable"
        )
        value = b"\0\0\0\0\1 no avro" if number % 2 else world.rng.randbytes(60)
        producer.produce(
            topic,
            value,
            item.key,
            headers=[("tenant", sender.tenant.encode()), ("provider", b"ycloud")],
        )
        world.generator.book.accept(item)
    assert producer.flush(10) == 0
    world.sleep(world.seconds)


def killer_body(world: World) -> None:
    """Sends a body that kills the process that reads it.

    After three deaths it is quarantined without being read, and the other records
    continue.
    """
    world.crew.replace("dedupe", f"read:{MARKER}")
    world.wait_ready("dedupe")
    log_bytes = world.crew.log_size("dedupe")
    body = killer(world.generator.traffic.make(world.senders[0], "text"), MARKER)
    world.generator.send([body])
    world.must(
        lambda: body.key in world.refused_keys(), KILLED_SECONDS, "the body is in quarantine"
    )
    world.sleep(world.seconds)
    deaths = world.crew.worker_deaths("dedupe", log_bytes)
    world.kills += deaths
    if deaths != STRIKES:
        world.failures.append(f"the body killed {deaths} times, not {STRIKES}")
    world.crew.replace("dedupe")


def flood(world: World) -> None:
    """One tenant sends a hundred times as much as each other tenant.

    There are many others, so that they have enough messages for a p99.
    """
    flooder, traffic, rate = world.senders[0].tenant, world.generator.traffic, world.generator.rate
    quiet = len(world.senders) - 1

    def doubled(before: float) -> float:
        return max(2.0 * before, before + NOISE_SECONDS)

    seconds = 2 * world.seconds
    with compare(world, flooder, seconds, quiet_rate=BESIDE_FLOOD_RATE, p99_at_most=doubled):
        traffic.weights = [100.0, *[1.0] * quiet]
        world.generator.rate = BESIDE_FLOOD_RATE * (100 + quiet)
        world.say(f"{flooder} sends 100 times as much as each of {quiet} other tenants")
        try:
            world.sleep(seconds)
        finally:
            traffic.weights = [1.0] * len(world.senders)
            world.generator.rate = rate


def bulk_import(world: World) -> None:
    """One tenant imports by `POST /chat` faster than dedupe can process.

    The others hardly notice.
    """
    world.crew.replace("dedupe", program=(THIS, "slow"))
    world.wait_ready("dedupe")
    importer, traffic, rate = world.senders[0], world.generator.traffic, world.generator.rate
    quiet = len(world.senders) - 1
    refused = world.generator.statuses["429"]

    def import_more() -> bool:
        wanted = IMPORT_OUTSTANDING - world.generator.outstanding
        world.generator.send(traffic.imported(importer) for _ in range(max(0, wanted)))
        return False

    def a_second_more(before: float) -> float:
        return before + 1.0

    with compare(
        world, importer.tenant, world.seconds, quiet_rate=QUIET_RATE, p99_at_most=a_second_more
    ):
        world.generator.rate, traffic.weights = QUIET_RATE * quiet, [0.0, *[1.0] * quiet]
        accepted, began = len(world.generator.book.accepted), time.monotonic()
        try:
            world.until(import_more, world.seconds)
        finally:
            world.generator.rate, traffic.weights = rate, [1.0] * len(world.senders)
    accepted = len(world.generator.book.accepted) - accepted
    world.notes |= {
        "accepted_per_second": round(accepted / (time.monotonic() - began)),
        "dedupe_could_do": round(1 / SECONDS_PER_RECORD),
        "answers_429": world.generator.statuses["429"] - refused,
    }
    if not world.notes["answers_429"]:
        world.failures.append("the import was never slowed down: dedupe was not saturated")
    world.must(lambda: world.generator.outstanding < 50, 120, "the import's last messages are in")
    world.crew.replace("dedupe")
