"""Real servers for the tests that need them, separate names for each test, and a check of skips."""

import gc
import os
import secrets
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from schemas.settings import Settings
from streams.local.home import LocalSecrets, environment_in
from streams.local.topology import PORTS, local_settings
from tests.depth import THOROUGH, load_profile
from tests.failure_logs import logs_of
from tests.servers import temporary_stack
from tests.topics import delete_topics

if "SENSORIUM_TEST_STACK" in os.environ:
    os.environ["TESTS_STACK"] = os.environ.pop("SENSORIUM_TEST_STACK")
RUNNING = os.environ.get("TESTS_STACK")
"""Renamed in the environment: to a role that a test starts it would be a setting that does not exist, and the processes of a
session that runs in several find it under the other name."""
FAILURES = os.environ.pop("TESTS_FAILURES", None)
"""The file for the ids of failed tests (tests/groups.py). It is for this session alone, so no child finds it."""

MAY_BE_SKIPPED: dict[str, str] = {
    "tests/integration/test_pooler.py": "PgBouncer is not installed (Debian: `apt-get install pgbouncer`)",
    "tests/unit/test_engines.py": "the extra `local` is left out (make LOCAL=0)",
    "tests/integration/test_local_models.py": "the extra `local`, or a source of the weights, is not there",
}
"""Maps a test id, or how it begins, to what a machine may lack.

Any other skipped test fails the session.
"""


@pytest.fixture(scope="session")
def stack() -> Iterator[Settings]:
    """Settings with running Kafka, Postgres and object store.

    They are started for this session on free ports, by the code behind `sensorium up`.
    With SENSORIUM_TEST_STACK=FILE, an environment file as `up` writes it, they are
    those of the file.
    """
    if RUNNING:
        nowhere = LocalSecrets(
            postgres_password="", objects_secret_key="", key=Fernet.generate_key().decode()
        )
        yield local_settings(environment_in(Path(RUNNING)), dict.fromkeys(PORTS, 0), nowhere)
        return
    with temporary_stack() as (settings, _):
        yield settings


@pytest.fixture
def namespace() -> Iterator[str]:
    """A NAMESPACE that no other test uses. Its topics are deleted afterwards."""
    name = f"t{secrets.token_hex(3)}"
    yield name
    delete_topics(name)


class _Skips:
    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def unexplained(self) -> dict[str, str]:
        return {
            test: reason
            for test, reason in self.reasons.items()
            if not any(test.startswith(known) for known in MAY_BE_SKIPPED)
        }


_SKIPS = pytest.StashKey[_Skips]()


def pytest_configure(config: pytest.Config) -> None:
    load_profile()
    config.stash[_SKIPS] = _Skips()
    config.pluginmanager.register(_Collector(config.stash[_SKIPS]), "sensorium-skips")


def pytest_collection_finish() -> None:
    """Excludes modules and tests from garbage collection, because some tests call it often."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without TESTS_THOROUGH=1, leaves out the tests with the marker `thorough`.

    pytest counts them as deselected.
    """
    if THOROUGH:
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows the ends of the logs of a failed test's processes."""
    report = yield
    if report.failed:
        report.sections += logs_of(getattr(item, "funcargs", {}), call.start)
    return report


def note_failure(test: str) -> None:
    if FAILURES:
        with Path(FAILURES).open("a") as failures:
            failures.write(f"{test}\n")


class _Collector:
    def __init__(self, skips: _Skips) -> None:
        self._skips = skips

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)
        if report.failed:
            note_failure(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skips.reasons[report.nodeid] = str(
                report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            )


def pytest_sessionfinish(session: pytest.Session) -> None:
    unexplained = session.config.stash[_SKIPS].unexplained()
    for test in unexplained:
        note_failure(test)
    if unexplained and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    skips = config.stash[_SKIPS]
    terminalreporter.section(
        f"{len(skips.reasons)} skipped, {len(skips.unexplained())} of them without leave"
    )
    for test, reason in skips.reasons.items():
        terminalreporter.line(f"{test}: {reason}")
