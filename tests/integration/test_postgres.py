"""An error of Postgres is the environment's trouble, unless it is about a value or our own bug."""

from urllib.parse import urlsplit

import asyncpg
import pytest

from schemas.outcomes import Unavailable
from schemas.settings import Postgres, Secret, Settings
from schemas.topics import Names
from storage.postgres.pool import as_unavailable, connect, unavailable


async def test_a_connection_ended_by_the_server_is_the_worlds_trouble(
    stack: Settings, names: Names
) -> None:
    connection = await connect(stack.postgres, names, "test")
    # which class it is depends on what the client reads first
    with pytest.raises(Exception) as caught:
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        await connection.execute("SELECT 1")
    assert unavailable(caught.value) is not None
    connection.terminate()


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DeadlockDetectedError(),
        asyncpg.DiskFullError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.AdminShutdownError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.ReadOnlySQLTransactionError(),
        asyncpg.InvalidPasswordError(),
        asyncpg.InvalidAuthorizationSpecificationError(),
        asyncpg.InvalidCatalogNameError(),
        asyncpg.InsufficientPrivilegeError(),
        asyncpg.UndefinedTableError(),
        asyncpg.UndefinedColumnError(),
        asyncpg.InvalidCachedStatementError(),
        asyncpg.InvalidSQLStatementNameError(),
        asyncpg.IdleInTransactionSessionTimeoutError(),
        asyncpg.InternalServerError(),
        asyncpg.UniqueViolationError(),
        asyncpg.NotNullViolationError(),
        asyncpg.ForeignKeyViolationError(),
        asyncpg.InvalidParameterValueError(),
        asyncpg.InterfaceError("pool is closing"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.TargetServerAttributeNotMatched(),
        asyncpg.PostgresError("of a class that nobody has heard of yet"),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_store_of_ours_says_is_not_the_fault_of_a_record(error: Exception) -> None:
    assert unavailable(error) is not None
    with pytest.raises(Unavailable) as raised, as_unavailable():
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DataError(),
        asyncpg.InvalidTextRepresentationError(),
        asyncpg.CharacterNotInRepertoireError(),
        asyncpg.CheckViolationError(),
        asyncpg.ProgramLimitExceededError(),
        ValueError(),
        KeyError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_names_a_value_or_is_a_fault_of_the_program_is_not_waited_for(
    error: Exception,
) -> None:
    assert unavailable(error) is None
    with pytest.raises(type(error)) as caught, as_unavailable():
        raise error
    assert (caught.value, error.__cause__) == (error, None), "it does not come from itself"


async def test_a_password_of_its_own_setting_may_hold_any_character(
    stack: Settings, names: Names
) -> None:
    password = "p@ss:w/ord?#[%41]& '\"\\ ñ"
    role = f"r_{names.postgres_schema}"
    owner = await connect(stack.postgres, names, "test")
    await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD {_literal(password)}")
    address = urlsplit(stack.postgres.dsn)
    dsn = Secret(f"postgresql://{role}@{address.hostname}:{address.port}{address.path}")
    try:
        connection = await connect(Postgres(dsn=dsn, password=Secret(password)), names, "test")
        assert await connection.fetchval("SELECT current_user") == role
        await connection.close()
    finally:
        await owner.execute(f"DROP ROLE {role}")
        await owner.close()


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
