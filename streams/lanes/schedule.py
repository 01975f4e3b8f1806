"""Decides which job is next. Pure: time and free workers are arguments."""

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Schedulable(Protocol):
    @property
    def tenant(self) -> str: ...
    @property
    def due_at(self) -> float: ...


E = TypeVar("E", bound=Schedulable)

MOVES_AT_ONCE = 64
"""The most due jobs, and the most ended holds, that one decision processes.

The next decision, which follows immediately, continues with the rest.
"""


class Schedule(Generic[E]):
    """Orders due jobs first come, first served within a tenant and round robin over tenants.

    A tenant may start a job while it runs fewer than `min(per_tenant, free workers)`. So
    m stuck tenants hold at most m/(m+1) of the workers, and one worker is always left for
    a tenant that runs nothing. A decision skips tenants at their limit, and does not
    visit held tenants, which are parked until their hold ends.
    """

    def __init__(self, per_tenant: int) -> None:
        self._per_tenant = per_tenant
        self._ready: dict[str, deque[E]] = {}
        self._turn: deque[str] = deque()
        self._later: list[tuple[float, int, E]] = []
        self._held_until: dict[str, float] = {}
        self._parked: set[str] = set()
        self._parked_until: list[tuple[float, str]] = []
        self._running: Counter[str] = Counter()
        self._order = itertools.count()

    def add(self, entry: E, now: float) -> None:
        if entry.due_at > now:
            heapq.heappush(self._later, (entry.due_at, next(self._order), entry))
            return
        queue = self._ready.get(entry.tenant)
        if queue is None:
            queue = self._ready[entry.tenant] = deque()
            self._take_turn(entry.tenant, now)
        queue.append(entry)

    def hold(self, tenant: str, until: float) -> None:
        """Starts no job of the tenant before `until`.

        For trouble with the tenant's model or key, which affects all of its jobs.
        """
        self._held_until[tenant] = max(until, self._held_until.get(tenant, 0.0))

    def take(self, now: float, free: int) -> E | None:
        """Takes the next job to run, or None. It counts as running until `done`."""
        self._move(now)
        limit = min(self._per_tenant, free)
        for _ in range(len(self._turn)):
            tenant = self._turn.popleft()
            if self._running[tenant] >= limit:
                self._turn.append(tenant)
                continue
            if self._is_held(tenant, now):
                self._park(tenant)
                continue
            queue = self._ready[tenant]
            entry = queue.popleft()
            self._running[tenant] += 1
            if queue:
                self._turn.append(tenant)
            else:
                del self._ready[tenant]
            return entry
        return None

    def done(self, tenant: str) -> None:
        """Counts one running job of the tenant less."""
        self._running[tenant] -= 1
        if not self._running[tenant]:
            del self._running[tenant]

    def drop(self, belongs: Callable[[E], bool]) -> None:
        """Removes the waiting jobs for which `belongs` returns True."""
        self._later = [item for item in self._later if not belongs(item[2])]
        heapq.heapify(self._later)
        queues = {
            tenant: deque(e for e in queue if not belongs(e))
            for tenant, queue in self._ready.items()
        }
        self._ready = {tenant: queue for tenant, queue in queues.items() if queue}
        self._turn = deque(tenant for tenant in self._turn if tenant in self._ready)
        self._parked &= self._ready.keys()
        self._parked_until = [one for one in self._parked_until if one[1] in self._parked]
        heapq.heapify(self._parked_until)

    def next_wake(self, now: float) -> float | None:
        """When to call `take` again if nothing else happens, or None.

        This is when the next job is due or the next hold ends.
        """
        times = [self._later[0][0]] if self._later else []
        times += [self._parked_until[0][0]] if self._parked_until else []
        return min(times, default=None)

    def _move(self, now: float) -> None:
        """Moves due jobs and tenants whose hold ended into the rotation.

        Moves at most MOVES_AT_ONCE of each.
        """
        for _ in range(MOVES_AT_ONCE):
            if not self._later or self._later[0][0] > now:
                break
            self.add(heapq.heappop(self._later)[2], now)
        for _ in range(MOVES_AT_ONCE):
            if not self._parked_until or self._parked_until[0][0] > now:
                break
            tenant = heapq.heappop(self._parked_until)[1]
            self._parked.discard(tenant)
            self._take_turn(tenant, now)  # parks it again if its hold was extended

    def _take_turn(self, tenant: str, now: float) -> None:
        if self._is_held(tenant, now):
            self._park(tenant)
        else:
            self._turn.append(tenant)

    def _park(self, tenant: str) -> None:
        self._parked.add(tenant)
        heapq.heappush(self._parked_until, (self._held_until[tenant], tenant))

    def _is_held(self, tenant: str, now: float) -> bool:
        until = self._held_until.get(tenant)
        if until is None:
            return False
        if until > now:
            return True
        del self._held_until[tenant]
        return False
