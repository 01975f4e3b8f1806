"""docs/sizing.md names the most connections to Postgres, and the threads, of each role."""

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from schemas.pipeline import JOB_STAGES, STAGES
from storage.postgres.pool import create_pool

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sizing.md").read_text()
NOT_ROLES = (
    "streams/commands/",
    "streams/local/",
    "connectors/engines/",
    "storage/postgres/pool.py",
)
"""Commands, the local installation, and local models. None is a role in the table."""
MODEL_STAGES = ("describe", "transcribe")
OF_FILES: dict[str, tuple[str, ...]] = {
    "connectors/console/changes.py": ("console",),
    "storage/postgres/directory.py": ("receive", "console", *JOB_STAGES),
    "storage/postgres/job_attempts.py": JOB_STAGES,
    "storage/postgres/retention.py": ("sink",),
    "storage/postgres/stops.py": (*STAGES, "sink"),
    "streams/apps/models.py": MODEL_STAGES,
    "streams/apps/store_media.py": ("store_media",),
    "streams/repair/erasing.py": ("console",),
    "streams/repair/removing.py": ("console",),
    "streams/roles/console.py": ("console",),
    "streams/roles/minute_writer.py": ("receive", *STAGES, "sink"),
    "streams/roles/receive.py": ("receive",),
    "streams/roles/sink.py": ("sink",),
}
"""Maps each file that connects to the roles whose processes run it.

Two connections of one name are used one after the other.
"""


def calls(*names: str) -> Iterator[tuple[str, ast.Module, ast.Call]]:
    for folder in ("storage", "connectors", "streams"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            path = str(file.relative_to(ROOT))
            if path.startswith(NOT_ROLES):
                continue
            module = ast.parse(file.read_text())
            for node in ast.walk(module):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                    yield path, module, node


def number(module: ast.Module, node: ast.expr) -> int:
    """A number, or the value of a name in the module."""
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, int)
        return node.value
    for one in module.body:
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == ast.unparse(node):
            return number(module, one.value)
    raise AssertionError(f"{ast.unparse(node)} is no number of its module")


def size_of(module: ast.Module, call: ast.Call) -> int:
    if ast.unparse(call.func) != "create_pool":
        return 1
    given = [one.value for one in call.keywords if one.arg == "size"]
    default: int = inspect.signature(create_pool).parameters["size"].default
    return number(module, given[0]) if given else default


def connections() -> dict[str, tuple[int, int]]:
    """Maps each role to the most connections of a process, and how many of them bypass a pooler."""
    found = {
        (path, ast.unparse(call.args[2])): (size_of(module, call), ast.unparse(call.func))
        for path, module, call in calls("create_pool", "connect", "connect_directly")
    }
    assert {path for path, _ in found} == set(OF_FILES)
    most, past = Counter[str](), Counter[str]()
    for (path, _), (size, how) in found.items():
        for role in OF_FILES[path]:
            most[role] += size
            past[role] += size if how == "connect_directly" else 0
    return {role: (most[role], past[role]) for role in most}


def rows(page: str, head: str) -> list[list[str]]:
    table = page.partition(head)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]


def first(cell: str) -> int:
    return int(re.match(r"\d+", cell)[0])  # type: ignore[index]


def of_page(page: str) -> dict[str, tuple[int, int]]:
    return {
        role.strip(): (first(most), first(past))
        for roles, most, past, *_ in rows(page, "| Role | Postgres ")
        for role in roles.split(",")
    }


def test_the_page_has_the_connections_that_each_role_opens() -> None:
    assert of_page(PAGE) == connections()
    assert of_page(PAGE.replace("| receive | 3 ", "| receive | 2 ")) != connections()


def threads() -> dict[str, int]:
    """Maps each thread name, without what differs per partition, to the most threads of that name."""
    found = dict[str, int]()
    for _, module, call in calls("ThreadPoolExecutor", "threading.Thread"):
        given = {one.arg: one.value for one in call.keywords}
        name = given.get("thread_name_prefix") or given.get("name")
        if name is None:  # the parent's, which fence a dead child and end
            continue
        text = ast.literal_eval(name) if isinstance(name, ast.Constant) else ast.unparse(name)
        many = number_of_threads(module, call)
        found[text.removeprefix("f").strip("'\"").partition("{")[0].rstrip("-")] = many
    return found


def number_of_threads(module: ast.Module, call: ast.Call) -> int:
    if ast.unparse(call.func) == "threading.Thread":
        return 1
    if ast.unparse(call.args[0]) == "threads":  # the parameter of ObjectStore
        from storage.objects.store import ObjectStore

        default: int = inspect.signature(ObjectStore).parameters["threads"].default
        return default
    return number(module, call.args[0])


def test_the_page_has_every_kind_of_thread_with_its_number() -> None:
    page = {name.strip("`"): first(many) for name, many, *_ in rows(PAGE, "| Thread | Most ")}
    assert page == threads()
