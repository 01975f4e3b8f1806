"""The settings as values. streams/settings.py reads them once from the environment.

Each field is documented in .env.example.
"""

from typing import Literal

import msgspec


class Secret(str):
    """A string whose repr hides its value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')" if self else "Secret('')"


class Kafka(msgspec.Struct, frozen=True, kw_only=True):
    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: Secret = Secret("")
    ssl_ca_file: str = ""
    partitions: int = 12
    replication_factor: int = 3
    min_insync_replicas: int = 2
    transaction_timeout_seconds: float = 10.0
    session_timeout_seconds: float = 10.0
    raw_retention_days: float = 7.0
    quarantine_retention_days: float = 30.0


class Postgres(msgspec.Struct, frozen=True, kw_only=True):
    dsn: Secret = Secret("postgresql://sensorium@127.0.0.1:5432/sensorium")
    password: Secret = Secret("")
    listen_dsn: Secret = Secret("")
    pooler: Literal["none", "transaction"] = "none"


class Objects(msgspec.Struct, frozen=True, kw_only=True):
    endpoint: str = "http://127.0.0.1:9000"
    access_key: str = ""
    secret_key: Secret = Secret("")
    bucket: str = "sensorium"
    region: str = "us-east-1"


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    url: str = ""


class Openai(msgspec.Struct, frozen=True, kw_only=True):
    base_url: str = "https://api.openai.com/v1"
    api_key: Secret = Secret("")
    transcription_base_url: str = ""
    transcription_api_key: Secret = Secret("")
    vision_model: str = "gpt-4o,gpt-6-luna"
    transcription_model: str = "whisper-1,gpt-transcribe"
    retry_seconds: float = 3600.0
    timeout_seconds: float = 60.0
    transcription_timeout_seconds: float = 0.0
    vision_jobs: int = 0
    transcription_jobs: int = 0
    image_formats: str = "auto"
    image_side: int = 2048
    audio_format: Literal["auto", "as-is", "mp3", "wav"] = "auto"
    vision_extra_body: str = ""
    transcription_extra_body: str = ""
    prices: Literal["auto", "always", "never"] = "auto"
    prices_file: str = ""


class ReceiverSettings(msgspec.Struct, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: int = 8080
    processes: int = 1
    url: str = ""
    ack_seconds: float = 4.0
    max_body_bytes: int = 1024 * 1024
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    max_pending_bytes: int = 64 * 1024 * 1024
    tenant_rate_per_second: float = 0.0
    bulk_behind_seconds: float = 0.2
    signature_age_seconds: float = 86_400.0
    drain_seconds: float = 10.0


class Console(msgspec.Struct, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: int = 8081
    allowed_origins: str = ""
    public_url: str = ""
    header_seconds: float = 10.0
    context_bytes: int = 262_144


class Media(msgspec.Struct, frozen=True, kw_only=True):
    max_bytes: int = 25_000_000
    link_seconds: int = 300
    not_found_seconds: float = 60.0
    retry_seconds: float = 600.0
    download_seconds: float = 60.0
    allowed_private_hosts: str = ""


class Ycloud(msgspec.Struct, frozen=True, kw_only=True):
    api_base: str = "https://api.ycloud.com"


class Providers(msgspec.Struct, frozen=True, kw_only=True):
    ycloud: Ycloud = Ycloud()

    def api_base(self, provider: str) -> str:
        """The base URL of the provider's API, or an empty string without one."""
        return str(getattr(getattr(self, provider, None), "api_base", ""))


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    jobs: int = 64
    jobs_per_tenant: int = 16
    queue_bytes: int = 64 * 1024 * 1024
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    consecutive: int = 50
    ratio: float = 0.5
    window_records: int = 200


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True):
    arrivals_days: float = 90.0
    arrivals_tenant_rows: int = 200_000_000
    steps_days: float = 90.0
    quarantine_tenant_bytes: int = 1_073_741_824
    quarantine_tenant_rows: int = 1_000_000
    results_days: float = 365.0
    usage_days: float = 800.0
    log_days: float = 800.0


class SecretSettings(msgspec.Struct, frozen=True, kw_only=True):
    key: Secret = Secret("")


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    level: str = "info"
    format: str = "json"


class Local(msgspec.Struct, frozen=True, kw_only=True):
    whisper_dir: str = ""
    threads: int = 1
    waiting: int = 8


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings.

    `namespace` is the prefix of topics, groups and transactional ids.
    """

    namespace: str = ""
    kafka: Kafka = Kafka()
    postgres: Postgres = Postgres()
    objects: Objects = Objects()
    registry: Registry = Registry()
    openai: Openai = Openai()
    receiver: ReceiverSettings = ReceiverSettings()
    console: Console = Console()
    media: Media = Media()
    providers: Providers = Providers()
    worker: WorkerSettings = WorkerSettings()
    breaker: BreakerSettings = BreakerSettings()
    retention: RetentionSettings = RetentionSettings()
    secrets: SecretSettings = SecretSettings()
    log: LogSettings = LogSettings()
    local: Local = Local()
