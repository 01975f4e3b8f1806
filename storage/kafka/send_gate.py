"""Decides when a producer passes its gathered records to librdkafka.

It passes them on together, and only while no other records are in flight.

librdkafka sends one request per partition, and an idempotent producer may have five of
them in flight to a broker. While a sixth waits, its thread checks again and again
without a pause (470,000 times per second, measured with librdkafka 2.16). That takes a
whole core from a broker on the same machine, which then answers even later, and requests
wait for hundreds of milliseconds. Records that are sent while others are in flight
therefore wait here, which makes larger batches under load. A single record does not wait.
"""

SHORTEST_SECONDS, LONGEST_SECONDS = 0.02, 0.1
"""The shortest and the longest time for which a record waits for those in flight.

The wait doubles while they are not acknowledged. It is limited, because a partition
without a leader must not hold back the others. It grows, because a slow broker must not
get more requests.
"""


class SendGate:
    """Decides when the next records may be passed on. Pure: time is an argument."""

    def __init__(self) -> None:
        self._opened_at = 0.0
        self._wait = SHORTEST_SECONDS

    def opens(self, outstanding: int, now: float) -> bool:
        """True if the caller may, and then must, pass on the gathered records now."""
        if not outstanding:
            self._wait = SHORTEST_SECONDS
        elif now - self._opened_at < self._wait:
            return False
        else:
            self._wait = min(2 * self._wait, LONGEST_SECONDS)
        self._opened_at = now
        return True
