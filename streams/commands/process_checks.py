"""Doctor's check of the processes that `sensorium up` started here."""

from streams.commands.checks import CheckResult
from streams.commands.environment import home_folder
from streams.local.figures import frozen
from streams.local.home import Home, home_at
from streams.local.lifecycle import status, supervisor_of


def process_findings() -> list[CheckResult]:
    """Returns one result, or none if nothing was started here.

    Other programs run the roles then.
    """
    home = home_at(home_folder())
    return [finding_of(home)] if home.state_file.exists() else []


def finding_of(home: Home) -> CheckResult:
    """Wrong if a process is frozen or does not run, or if no supervisor restarts them."""
    rows = status(home)
    wrong = [f"{name} (pid {pid}) is frozen: kill -CONT {pid}" for name, pid in frozen(home)]
    wrong += [
        f"{row.name} is {row.state}: its log is {home.logs / row.name}.log"
        for row in rows
        if row.state not in ("running", "elsewhere")
    ]
    if supervisor_of(home) is None:
        wrong.append("no supervisor restarts them: sensorium up")
    if wrong:
        return CheckResult("processes", False, "; ".join(wrong))
    restarts = sum(max(0, row.starts - 1) for row in rows)
    return CheckResult(
        "processes", True, f"{len(rows)} run, {restarts} restarts since their first start"
    )
