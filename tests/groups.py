"""`python -m tests.groups [unit]`: all tests, in groups that share one set of servers and run side by side where they mostly wait.

Unit tests use every core, so they run first, beside the tests of processes, which wait for their children. The groups that
wait for servers run beside each other, and most of them in several processes, because a test there waits three quarters of its
time. The acceptance tests are two groups, each with a pipeline of its own, which the tests with the marker `last` judge in both.
Chaos has the machine to itself, and in each of its processes servers of its own to kill.
A test of the groups with servers that failed is repeated alone, once its step is over: some fail only because the machine was
busy with the other groups. It is named at the end in either case. More than a few failures are not repeated, nor is any unit test.
`unit` alone is quick: it leaves out tests with the marker `thorough` and most examples of properties (tests/depth.py).
"""

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from streams.local.home import home_at
from tests.failure_logs import tail_of
from tests.servers import temporary_stack

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Group:
    """Test folders, or files, that one pytest session runs."""

    name: str
    paths: tuple[str, ...]
    options: tuple[str, ...] = ()
    repeats: bool = True
    """True if a test that failed beside others may pass alone."""


CORES = os.cpu_count() or 2
UNIT = Group(
    "unit", ("tests/unit", "tests/layout"), ("-n", str(CORES), "--dist", "worksteal"), repeats=False
)
PROCESSES = Group("processes", ("tests/processes",))
LANES = Group("lanes", ("tests/contract", "tests/browser"), ("-n", "2", "--dist", "worksteal"))
INTEGRATION = Group(
    "integration", ("tests/integration",), ("-n", str(CORES + 1), "--dist", "loadfile")
)
"""A file's tests share fixtures, so they stay in one process."""
BREAKING = tuple(
    f"tests/acceptance/test_{name}.py" for name in ("kills", "partitions", "disasters")
)
"""The acceptance tests that take longest.

They kill, move or lose parts of a pipeline, and wait until it works again.
"""
JUDGING = tuple(f"tests/acceptance/test_{name}.py" for name in ("run_balances", "run_logs"))
"""Tests that judge what all others of their session did."""
ACCEPTANCE = Group(
    "acceptance", ("tests/acceptance",), tuple(f"--ignore={file}" for file in BREAKING)
)
KILLS = Group("kills", (*BREAKING, *JUDGING))
CHAOS = Group("chaos", ("tests/chaos",), ("-n", "2", "--dist", "worksteal"))
GROUPS = (UNIT, PROCESSES, LANES, INTEGRATION, ACCEPTANCE, KILLS, CHAOS)
MOST_REPEATED = 3
"""If more tests of a group fail, something is broken."""
DURATIONS = ("--durations=40", "--durations-min=1")
PYTEST_TESTS_FAILED, PYTEST_INTERRUPTED = 1, 2
ENDING_SECONDS = 60
POLL_SECONDS = 0.5
FAILURES = "TESTS_FAILURES"
"""The variable that names the file in which a session writes the ids of its failed tests (tests/conftest.py)."""
SUMMARY = re.compile(r"=+ .*\b(passed|failed|error|errors)\b.* in [0-9.]+s")
"""The last line that pytest itself prints. A library may print more at its end."""


@dataclass
class Session:
    """A pytest process that writes its output to a file."""

    group: Group
    environment: dict[str, str]
    logs: Path
    tests: tuple[str, ...] = ()
    """The ids of the only tests to run, without helpers beside. Empty for all of the group."""
    began: float = field(default_factory=time.monotonic)
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        name = f"{self.group.name}-again" if self.tests else self.group.name
        self.log, self.failures = self.logs / f"{name}.log", self.logs / f"{name}.failed"
        what = self.tests or (*self.group.options, *self.group.paths)
        command = [sys.executable, "-m", "pytest", *DURATIONS, *what]
        environment = self.environment | {FAILURES: str(self.failures)}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def report(self) -> bool:
        """Prints how the session ended, and its whole output if it failed; returns whether it passed."""
        code = self.process.wait()
        lines = self.log.read_text(errors="replace").splitlines()
        seconds = time.monotonic() - self.began
        if code != 0:
            print("\n".join(lines))
        print(f"{self.group.name}: exit code {code} after {seconds:.0f} s")
        print(
            next((line for line in reversed(lines) if SUMMARY.match(line)), "no test ran"),
            flush=True,
        )
        return code == 0

    def failed(self) -> list[str]:
        """The ids of the tests that failed."""
        lines = self.failures.read_text().splitlines() if self.failures.exists() else []
        return list(dict.fromkeys(lines))

    def interrupt(self) -> None:
        """Lets pytest end its servers and processes, as Ctrl-C does."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:  # started with Ctrl-C ignored, or stuck
            self.process.kill()


def run_step(groups: tuple[Group, ...], logs: Path, stack: Path | None = None) -> bool:
    """Runs the groups side by side, then what failed once more; returns False if a group failed in the end."""
    environment = dict(os.environ) | ({"SENSORIUM_TEST_STACK": str(stack)} if stack else {})
    print(f"{', '.join(group.name for group in groups)}: output in {logs}", flush=True)
    began, cpu_before = time.monotonic(), _cpu_seconds()
    sessions = [Session(group, environment, logs) for group in groups]
    try:
        failed, left = [], list(sessions)
        while left:
            time.sleep(POLL_SECONDS)
            for session in [one for one in left if one.process.poll() is not None]:
                left.remove(session)
                if not session.report():
                    failed.append(session)
        print(
            f"{', '.join(group.name for group in groups)}: {time.monotonic() - began:.0f} s, "
            f"of {CORES} cores used {_cpu_seconds() - cpu_before:.0f} s",
            flush=True,
        )
        still_failed = [one for one in failed if not _passes_alone(one, sessions)]
        return not still_failed
    finally:
        for session in sessions:
            session.interrupt()


def _passes_alone(session: Session, sessions: list[Session]) -> bool:
    """Repeats the tests of a session that failed, if they are few, and says which of them passed."""
    tests = session.failed()
    judged = any(test.startswith(file) for test in tests for file in JUDGING)
    ended = session.process.returncode == PYTEST_TESTS_FAILED
    may_repeat = session.group.repeats and ended and not judged
    if not (may_repeat and 0 < len(tests) <= MOST_REPEATED):
        return False
    again = Session(session.group, session.environment, session.logs, tuple(tests))
    sessions.append(again)
    passed = again.report()
    still = set(again.failed())
    for test in tests:
        print(
            f"{'FAILED AGAIN' if test in still else 'UNSTABLE, passed alone'}: {test}", flush=True
        )
    return passed


def _cpu_seconds() -> float:
    """The processor time of all children that have ended, and of theirs. The shared servers are not among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def print_ends_of_logs(folder: Path) -> None:
    """Prints the ends of the servers' logs, whose folder is removed.

    A test may have failed because a server was slow.
    """
    for log in sorted(folder.glob("*.log")):
        print(f"--- End of {log}\n{tail_of(log)}", flush=True)


def main() -> int:
    """Runs every step, also after one that failed, so that one run shows all failures."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logs = Path(tempfile.mkdtemp(prefix="sensorium-tests-"))
    if sys.argv[1:] not in ([], [UNIT.name]):
        print("usage: python -m tests.groups [unit]", file=sys.stderr)
        return PYTEST_INTERRUPTED
    if sys.argv[1:] == [UNIT.name]:
        return 0 if run_step((UNIT,), logs) else 1
    os.environ["TESTS_THOROUGH"] = "1"
    try:
        passed = [run_step((UNIT, PROCESSES), logs)]
        with temporary_stack() as (_, environment_file):
            # what takes longest begins first
            passed.append(run_step((INTEGRATION, KILLS, ACCEPTANCE, LANES), logs, environment_file))
            if not passed[-1]:
                print_ends_of_logs(home_at(environment_file.parent).logs)
        passed.append(run_step((CHAOS,), logs))
    except KeyboardInterrupt:
        return PYTEST_INTERRUPTED
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
