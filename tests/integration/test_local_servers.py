import asyncpg
from confluent_kafka.admin import AdminClient
from minio import Minio

from schemas.settings import Settings


def test_the_broker_of_the_stack_answers(stack: Settings) -> None:
    assert (
        AdminClient({"bootstrap.servers": stack.kafka.bootstrap_servers})
        .list_topics(timeout=60)
        .brokers
    )


async def test_the_database_of_the_stack_answers_with_its_password(stack: Settings) -> None:
    connection = await asyncpg.connect(stack.postgres.dsn)
    try:
        assert await connection.fetchval("SELECT 1") == 1
    finally:
        await connection.close()


def test_the_object_store_of_the_stack_answers_with_its_keys(
    stack: Settings, namespace: str
) -> None:
    host = stack.objects.endpoint.removeprefix("http://")
    store = Minio(
        host, access_key=stack.objects.access_key, secret_key=stack.objects.secret_key, secure=False
    )
    store.make_bucket(namespace)
    assert store.bucket_exists(namespace)
