"""The readiness of a stage, with the reasons if it is not ready."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams.lanes.app import LaneApp, Lanes


def troubles(app: "LaneApp", lanes: "Lanes") -> list[str]:
    """Why the stage is not ready, one line of text per reason. Empty if it is ready."""
    parked = lanes.parked
    opened = dict(lanes.open)  # a copy: another thread opens lanes
    opening = [
        partition
        for partition in sorted(lanes.assigned - parked.keys())
        if partition not in opened or not opened[partition].ready
    ]
    found = (
        (not app.membership.is_current, f"not a member of the group {app.conf.id} now"),
        (not app.is_alive, "its event loop is blocked"),
        (not app.healthy(), "what it needs besides Kafka does not work: see its log"),
        (app.gate.is_shut, f"it stopped itself: sensorium resume {app.stage}"),
        (bool(app.counts.trouble), app.counts.trouble),
        (bool(opening), f"partitions {opening} are not taken over yet"),
    )
    return [text for is_so, text in found if is_so] + [
        f"partition {partition} is parked, {why}" for partition, why in sorted(parked.items())
    ]


def status(app: "LaneApp", lanes: "Lanes") -> dict[str, Any]:
    """The status on the operations port, for `sensorium doctor` and people."""
    return {
        "stage": app.stage,
        "troubles": troubles(app, lanes),
        "partitions": sorted(lanes.assigned),
        "parked": [
            {
                "partition": partition,
                "reason": why.reason,
                "detail": why.detail,
                "since": why.since,
            }
            for partition, why in sorted(lanes.parked.items())
        ],
    }
