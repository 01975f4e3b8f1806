"""An in-memory channel from lanes to an agent."""

from typing import Any

import faust
from mode.utils.queues import FlowControlEvent, ThrowableQueue


class LaneChannel(faust.Channel[Any]):
    """Carries batches or jobs.

    They are not Faust Events, so Stream passes them without ack or generation check. The
    queue is not under `app.flow_control`, which is suspended and *cleared* at every
    rebalance: that would lose what a kept lane has handed out.
    """

    @property
    def queue(self) -> "ThrowableQueue[Any]":
        if self._queue is None:
            self._queue = ThrowableQueue(
                maxsize=self.maxsize or 0, flow_control=FlowControlEvent(initially_suspended=False)
            )
        return self._queue

    def hand_out(self, item: object) -> None:
        """Passes the item to the agent without waiting.

        An agent reads a clone of the channel. Items in the channel's own queue are never
        read, without any error.
        """
        (subscriber,) = self._subscribers
        subscriber.queue.put_nowait(item)
