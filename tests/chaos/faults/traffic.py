"""Faults that come in by the front door: storms of the same delivery, poison, one tenant that floods."""

from confluent_kafka import Producer

from storage.kafka.client import plain_producer_config
from streams.local.samples import Sample
from streams.roles.stream import STRIKES
from tests.chaos.book import Item
from tests.chaos.fairness import compare
from tests.chaos.traffic import killer
from tests.chaos.world import World, listeners

MARKER = "chaos-killer"
KILLED_SECONDS = 90.0
QUIET_RATE = 0.3
"""Deliveries a second of a quiet tenant: with the flood the machine's cores are busy, but not more than busy."""
FLOOD_TENANTS = 21


def storm(world: World) -> None:
    """Each of twenty ids fifty times, mixed, and a thousand ids at once, through two receivers."""
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
    """Bytes that are no record of ours, written where the receiver writes: it never makes any itself."""
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
    """A body that kills the process that reads it: after three deaths it goes to quarantine unread, and the rest goes on."""
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
    """One tenant at a hundred times the load of each other one, of whom there are many: enough messages for a p99."""
    flooder, traffic, rate = world.senders[0].tenant, world.generator.traffic, world.generator.rate
    quiet = len(world.senders) - 1
    with compare(world, flooder, world.seconds, quiet_rate=QUIET_RATE, factor=2.0):
        traffic.weights = [100.0, *[1.0] * quiet]
        world.generator.rate = QUIET_RATE * (100 + quiet)
        world.say(f"{flooder} sends 100 times as much as each of {quiet} other tenants")
        try:
            world.sleep(world.seconds)
        finally:
            traffic.weights = [1.0] * len(world.senders)
            world.generator.rate = rate
