"""An in-memory channel from lanes to an agent."""

from typing import Any

import faust
from mode.utils.queues import FlowControlEvent, ThrowableQueue


class LaneChannel(faust.Channel[Any]):
    """Carries batches or jobs from the lanes of a stage to its agent.

    They are not Faust Events, so Faust's Stream passes them on without an acknowledgement
    or a check of its generation. The queue ignores `app.flow_control`, because Faust
    suspends and *clears* the queues under it at each rebalance. That would lose the batches
    and jobs of a lane that this worker keeps.
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

        It puts the item into the queue of the channel's one subscriber, because an agent
        reads a clone of the channel. The channel's own queue is never read.
        """
        (subscriber,) = self._subscribers
        subscriber.queue.put_nowait(item)
