"""Every fault by name.

Each disturbs for about `world.seconds`, has ended the disturbance when it returns, and
notes what it did.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.faults import failover, models, operators, roles, servers, traffic
from tests.chaos.world import World


@dataclass(frozen=True)
class Fault:
    """A fault.

    It lasts `short_seconds` in the short set and `seconds` in the long one. `in_short`
    says that it is important enough for CI.
    """

    name: str
    hurt: Callable[[World], None]
    short_seconds: float
    seconds: float
    in_short: bool = False
    tenants: int = 4


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("calm", lambda world: world.sleep(world.seconds), 5, 30),
        Fault("kill_roles", roles.kill_roles, 20, 90, in_short=True),
        Fault("windows", roles.windows, 60, 600, in_short=True),
        Fault("rolling", roles.rolling, 10, 60, in_short=True),
        Fault("membership", roles.membership, 15, 90, in_short=True),
        Fault("spare_workers", operators.spare_workers, 10, 30),
        Fault("unknown_schema", operators.unknown_schema, 8, 30),
        Fault("replay_killed", operators.replay_killed, 5, 20),
        Fault("sinks_change", roles.sinks_change, 15, 60),
        Fault("frozen", roles.frozen, 9, 14, in_short=True),
        Fault("sink_frozen", failover.sink_frozen, 5, 14, in_short=True),
        Fault("standby_promoted", failover.standby_promoted, 8, 30),
        Fault("clock_back", roles.clock_back, 10, 30),
        Fault("broker_kill", servers.broker_kill, 5, 5),
        Fault("broker_gone", servers.broker_kill, 30, 30),
        Fault("broker_frozen", servers.broker_frozen, 15, 60, in_short=True),
        Fault("postgres_down", servers.postgres_down, 10, 60),
        Fault("postgres_killed", servers.postgres_killed, 10, 40, in_short=True),
        Fault("postgres_locked", servers.postgres_locked, 10, 45),
        Fault("store_down", servers.store_down, 8, 60),
        Fault("store_refuses", servers.store_mode("refuse"), 8, 30),
        Fault("store_500", servers.store_mode("error"), 8, 30),
        Fault("store_cut", servers.store_mode("cut"), 8, 30, in_short=True),
        Fault("disk_full", servers.disk_full, 8, 30),
        Fault("model_429", models.model("rate_limited"), 8, 30),
        Fault("model_500", models.model("server_error"), 8, 30),
        Fault("model_hang", models.model("hang"), 8, 30),
        Fault("model_slow_loris", models.model("slow_loris"), 8, 30),
        Fault("model_bad_json", models.model("bad_json"), 8, 30),
        Fault("model_truncated", models.model("truncated"), 8, 30),
        Fault("backlog", models.backlog, 15, 60),
        Fault("media_hang", models.media("hang"), 8, 30),
        Fault("media_500", models.media("server_error"), 8, 30),
        Fault("media_429", models.media("rate_limited"), 8, 30),
        Fault("storm", traffic.storm, 10, 30, in_short=True),
        Fault("undecodable", traffic.undecodable, 3, 10),
        Fault("killer_body", traffic.killer_body, 3, 20),
        Fault("flood", traffic.flood, 30, 120, tenants=traffic.FLOOD_TENANTS),
        Fault("bulk_import", traffic.bulk_import, 30, 120, tenants=traffic.FLOOD_TENANTS),
    )
}
SHORT = tuple(fault.name for fault in FAULTS.values() if fault.in_short)
