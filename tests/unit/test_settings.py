import signal
import subprocess
import sys

import msgspec
import pytest

from schemas.settings import (
    Kafka,
    Openai,
    Postgres,
    ReceiverSettings,
    RetentionSettings,
    Secret,
    Settings,
)
from schemas.topics import MAX_RECORD_BYTES
from streams.settings import (
    WRITTEN_BY_UP,
    SettingsError,
    known_settings,
    read_settings,
    to_environment,
)


def test_without_any_variable_the_defaults_are_in_force() -> None:
    assert read_settings({"PATH": "/bin", "HOME": "/root"}) == Settings()


def test_a_setting_is_read_by_its_full_name_and_as_its_kind() -> None:
    settings = read_settings(
        {
            "SENSORIUM_NAMESPACE": "blue",
            "SENSORIUM_KAFKA__PARTITIONS": "4",
            "SENSORIUM_RECEIVER__ACK_SECONDS": "2.5",
            "SENSORIUM_PROVIDERS__YCLOUD__API_BASE": "http://127.0.0.1:9999",
            "SENSORIUM_OPENAI__API_KEY": "sk-1",
        }
    )
    assert settings == Settings(
        namespace="blue",
        kafka=Kafka(partitions=4),
        receiver=ReceiverSettings(ack_seconds=2.5),
        openai=Openai(api_key=Secret("sk-1")),
        providers=msgspec.structs.replace(
            Settings().providers,
            ycloud=msgspec.structs.replace(
                Settings().providers.ycloud, api_base="http://127.0.0.1:9999"
            ),
        ),
    )


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(
            namespace="blue-2",
            kafka=Kafka(partitions=4, sasl_password=Secret("p=w d")),
            postgres=Postgres(dsn=Secret("postgresql://u:p@h/d")),
        ),
    ],
)
def test_what_is_in_force_can_be_written_down_and_read_again(settings: Settings) -> None:
    assert read_settings(to_environment(settings)) == settings
    assert set(to_environment(settings)) == set(known_settings())


def test_what_up_adds_for_people_is_not_an_error() -> None:
    assert read_settings(dict.fromkeys(WRITTEN_BY_UP, "http://127.0.0.1:1")) == Settings()


@pytest.mark.parametrize("days", ["7.5", "0", "-1", "nan"])
def test_raw_records_may_not_live_longer_than_their_keys_are_remembered(days: str) -> None:
    assert read_settings({"SENSORIUM_KAFKA__RAW_RETENTION_DAYS": "7"}).kafka.raw_retention_days == 7
    with pytest.raises(SettingsError, match=r"RAW_RETENTION_DAYS must be above 0 and at most 7"):
        read_settings({"SENSORIUM_KAFKA__RAW_RETENTION_DAYS": days})
    with pytest.raises(SettingsError, match="QUARANTINE_RETENTION_DAYS must be above 0"):
        read_settings({"SENSORIUM_KAFKA__QUARANTINE_RETENTION_DAYS": "0"})


@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_an_age_that_would_delete_every_row_is_refused(value: str) -> None:
    for name in RetentionSettings.__struct_fields__:
        if "_tenant_" in name and value != "-1":
            continue  # a whole number is neither
        full = f"SENSORIUM_RETENTION__{name.upper()}"
        with pytest.raises(SettingsError, match=f"{full} must be at least 0"):
            read_settings({full: value})
        assert getattr(read_settings({full: "0"}).retention, name) == 0


@pytest.mark.parametrize(
    "address",
    ["hooks.example.com", "https://", "ftp://hooks.example.com", "https://u:p@h.com", "https://h.com/?a=1", "https://h.com/#a"],
)  # fmt: skip
def test_an_address_that_no_webhook_url_can_begin_with_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="SENSORIUM_RECEIVER__URL must be an address such as"):
        read_settings({"SENSORIUM_RECEIVER__URL": address})


@pytest.mark.parametrize("address", ["https://hooks.example.com", "http://127.0.0.1:8080/chat/"])
def test_the_public_address_of_the_receiver_is_a_setting(address: str) -> None:
    assert read_settings({"SENSORIUM_RECEIVER__URL": address}).receiver.url == address


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("SENSORIUM_KAFKA__BOOTSTRAP_SERVER", "SENSORIUM_KAFKA__BOOTSTRAP_SERVERS"),
        ("SENSORIUM_KAFKA_PARTITIONS", "SENSORIUM_KAFKA__PARTITIONS"),
        ("SENSORIUM_POSTGRES__URL_DSN", "SENSORIUM_POSTGRES__DSN"),
        ("SENSORIUM_OPENAI__VISON_MODEL", "SENSORIUM_OPENAI__VISION_MODEL"),
        ("SENSORIUM_kafka__partitions", "SENSORIUM_"),
    ],
)
def test_an_unknown_name_is_refused_and_the_nearest_one_offered(wrong: str, right: str) -> None:
    with pytest.raises(SettingsError, match=f"{wrong} is not a setting; did you mean {right}"):
        read_settings({wrong: "1"})


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"SENSORIUM_KAFKA__PARTITIONS": "many"}, "SENSORIUM_KAFKA__PARTITIONS"),
        ({"SENSORIUM_RECEIVER__ACK_SECONDS": "soon"}, "SENSORIUM_RECEIVER__ACK_SECONDS"),
        ({"SENSORIUM_NAMESPACE": "Blue"}, "SENSORIUM_NAMESPACE"),
        ({"SENSORIUM_NAMESPACE": "a" * 42}, "SENSORIUM_NAMESPACE"),
        ({"SENSORIUM_NAMESPACE": "-a"}, "SENSORIUM_NAMESPACE"),
        ({"SENSORIUM_KAFKA__PARTITIONS": "0"}, "SENSORIUM_KAFKA__PARTITIONS"),
        ({"SENSORIUM_KAFKA__REPLICATION_FACTOR": "1"}, "SENSORIUM_KAFKA__MIN_INSYNC_REPLICAS"),
        (
            {"SENSORIUM_RECEIVER__MAX_BODY_BYTES": str(MAX_RECORD_BYTES // 2 - 64 * 1024 + 1)},
            "SENSORIUM_RECEIVER__MAX_BODY_BYTES",
        ),
    ],
)
def test_a_wrong_value_is_refused_under_the_name_a_person_set(
    environment: dict[str, str], names: str
) -> None:
    with pytest.raises(SettingsError, match=names):
        read_settings(environment)


def test_the_largest_body_that_still_fits_is_allowed() -> None:
    largest = MAX_RECORD_BYTES // 2 - 64 * 1024
    assert (
        read_settings({"SENSORIUM_RECEIVER__MAX_BODY_BYTES": str(largest)}).receiver.max_body_bytes
        == largest
    )


def test_a_secret_does_not_show_itself() -> None:
    assert "hunter2" not in repr(
        Settings(openai=Openai(api_key=Secret("hunter2")), postgres=Postgres(dsn=Secret("hunter2")))
    )


def test_an_armed_failpoint_is_taken_for_no_setting() -> None:
    program = "from streams.settings import read_settings; read_settings(); from storage import failpoints; failpoints.reached('here')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"SENSORIUM_FAILPOINT": "here:1"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")


@pytest.mark.parametrize("namespace", ["sensorium.2", "shop.2", "blue-2.b-1"])
def test_a_further_set_of_topics_is_a_namespace(namespace: str) -> None:
    assert read_settings({"SENSORIUM_NAMESPACE": namespace}).namespace == namespace


@pytest.mark.parametrize("namespace", [".2", "shop.", "shop.2.3", "media.2", "public.2", "shop.X"])
def test_a_set_of_topics_has_a_pipeline_of_its_own_and_a_name(namespace: str) -> None:
    with pytest.raises(SettingsError, match="SENSORIUM_NAMESPACE"):
        read_settings({"SENSORIUM_NAMESPACE": namespace})
