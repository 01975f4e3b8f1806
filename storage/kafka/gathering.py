"""When a producer hands gathered records to librdkafka: all at once, while nothing else is on its way.

librdkafka sends one request per partition, and an idempotent producer may have five of
them on their way to a broker. While a sixth waits, its thread asks again and again without a
pause (470,000 times a second, measured with librdkafka 2.16): that takes a whole core from
the broker, which then answers later still, and requests wait for hundreds of milliseconds.
What is sent while others are on their way therefore waits here, and becomes larger batches
under load. A lone record does not wait.
"""

SHORTEST_SECONDS, LONGEST_SECONDS = 0.02, 0.1
"""How long a record waits for others at most. The wait doubles while those do not arrive: a partition
without a leader must not hold back the other partitions, nor a slow broker be given more to do."""


class SendGate:
    """Says when the next records may be handed over. Pure: time is an argument."""

    def __init__(self) -> None:
        self._opened_at = 0.0
        self._wait = SHORTEST_SECONDS

    def opens(self, outstanding: int, now: float) -> bool:
        """Whether gathered records may go now, while so many are on their way. If so, they have to."""
        if not outstanding:
            self._wait = SHORTEST_SECONDS
        elif now - self._opened_at < self._wait:
            return False
        else:
            self._wait = min(2 * self._wait, LONGEST_SECONDS)
        self._opened_at = now
        return True
