"""The partition of a key is the choice of every Kafka client, but never an added partition."""

import ctypes
import functools
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.arrival import Arrival
from schemas.headers import new_traceparent
from schemas.keys import key_partition
from schemas.outcomes import Output, Quarantine
from schemas.topics import Names
from streams.apps.encoding import Encoding
from streams.repair.quarantined import write_again
from tests.unit.records import message

KEY = b"acme:ycloud:wamid.HBgNNTIxNTUxMjM0NTY3OBUCABIYFjNFQjBDNkI4QkI0RjY3QkUyMTU0"


@functools.cache
def of_librdkafka() -> Any:
    """The function behind `partitioner=murmur2_random`, from the library that clients load."""
    package = Path(confluent_kafka.__file__).parent
    folders = (package.parent / "confluent_kafka.libs", package / ".dylibs")
    library = next(one for folder in folders for one in folder.glob("librdkafka*"))
    choose = ctypes.CDLL(str(library)).rd_kafka_msg_partitioner_murmur2_random
    choose.argtypes = [
        *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
        *(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p),
    ]
    choose.restype = ctypes.c_int32
    return choose


@given(st.binary(max_size=700), st.integers(1, 1_000))
@example(b"", 12)
@example(KEY, 12)
def test_a_key_is_in_the_partition_that_librdkafka_chooses(key: bytes, partitions: int) -> None:
    chosen = of_librdkafka()(None, key, len(key), partitions, None, None)
    assert key_partition(key, partitions) == chosen


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_the_java_client(key: bytes, hashed: int) -> None:
    """The pairs of `UtilsTest.testMurmur2` of Apache Kafka."""
    assert key_partition(key, 2**31) == hashed & 0x7FFFFFFF


@pytest.mark.parametrize("partitions", [1, 4, 12])
def test_every_keyed_write_names_its_partition(partitions: int) -> None:
    names = Names("")
    encoding = Encoding(names, partitions)
    record = message()
    key = record.message_key.encode()
    output = Output("enrichments", record.message_key, record, 0, None)  # type: ignore[arg-type]
    arrival = Arrival("raw-messages", 0, 7, key, b"{", [])
    row = {"stage": "dedupe", "partition": 99, "headers": b"{}", "key": key, "value": b"{"}
    written = (
        encoding.write(output, new_traceparent()),
        encoding.quarantined(arrival, "dedupe", Quarantine("record_undecodable", "")),
        write_again(row, names, partitions, 1),
    )
    assert {one.partition for one in written} == {key_partition(key, partitions)}
