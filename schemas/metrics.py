"""Every metric with its kind, its labels, its meaning and the remedy.

Labels come from closed sets only.
"""

from prometheus_client import Counter, Gauge, Histogram

OTHER = "other"


class BoundedNames:
    """Uses the first `most` names of a process as labels, and "other" for the rest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        if name not in self._known and len(self._known) < self._most:
            self._known.add(name)
        return name if name in self._known else OTHER


TENANTS = BoundedNames(50)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
DURATION_BOUNDS = _SECONDS
"""The upper bounds of every histogram of durations, in seconds.

Longer durations are counted in one more bucket.
"""

STAGE_RECORDS = Counter(
    "sensorium_stage_records",
    "Records by outcome, counted after their transaction committed. `failed`: a job "
    "that ended with a failed attachment.",
    ["stage", "outcome", "reason"],
)
ATTACHMENTS_FAILED = Counter(
    "sensorium_attachments_failed",
    "Failed attachments, by reason (docs/reference/reasons.md). Growing: sensorium "
    "attachments list.",
    ["stage", "reason"],
)
TENANT_ATTACHMENTS_FAILED = Counter(
    "sensorium_tenant_attachments_failed",
    "Failed attachments, by tenant. After the first 50 tenants of a process all others are "
    '"other".',
    ["tenant"],
)
STAGE_LAG = Gauge(
    "sensorium_stage_lag_records",
    "Records of the source topic not yet committed. Growing: start another worker.",
    ["stage", "partition"],
)
STAGE_COMMIT = Histogram(
    "sensorium_stage_commit_seconds",
    "Duration of a lane's transaction. Slow: look at the broker.",
    ["stage"],
    buckets=_SECONDS,
)
STAGE_LANES = Gauge(
    "sensorium_stage_lanes_ready", "Source partitions this process works on.", ["stage"]
)
STAGE_PARKED = Gauge(
    "sensorium_stage_partitions_parked",
    "Source partitions of this process that are parked for a reason of their own while "
    "the others continue. Alert on it. The log event partition_parked and /status of "
    "the process say what to do.",
    ["stage", "reason"],
)
STAGE_STOPPED = Gauge(
    "sensorium_stage_stopped",
    "1: the stage stopped itself, because too many of its records would be "
    "quarantined. Alert on it. Fix the cause, then sensorium resume STAGE.",
    ["stage"],
)
STAGE_TENANTS_HELD = Gauge(
    "sensorium_stage_tenants_held",
    "Tenants whose records the stage keeps refusing because of faults of the program, "
    "without records of another tenant to compare with. The records are complete in "
    "quarantine: see sensorium quarantine list, fix the cause, then sensorium "
    "quarantine replay.",
    ["stage"],
)
JOBS_WAITING = Gauge(
    "sensorium_stage_jobs_waiting",
    "Admitted, unfinished jobs. Growing: more workers, or the model is slow.",
    ["stage"],
)
JOBS_BYTES = Gauge(
    "sensorium_stage_jobs_bytes",
    "Memory used by admitted, unfinished jobs. At SENSORIUM_WORKER__QUEUE_BYTES intake pauses.",
    ["stage"],
)
JOBS_OLDEST = Gauge(
    "sensorium_stage_oldest_job_seconds", "Age of the oldest admitted, unfinished job.", ["stage"]
)
JOBS_RUNNING = Gauge("sensorium_stage_jobs_running", "Jobs that a worker is processing.", ["stage"])
JOBS_INTAKE_PAUSED = Gauge(
    "sensorium_stage_intake_paused",
    "1 while a lane admits no jobs because its job table is full.",
    ["stage", "partition"],
)
JOB_RETRIES = Counter(
    "sensorium_stage_job_retries",
    "Jobs postponed because a server or resource was unavailable.",
    ["stage", "what"],
)
JOB_SECONDS = Histogram(
    "sensorium_stage_job_seconds", "Duration of one try of a job.", ["stage"], buckets=_SECONDS
)

RECEIVER_REQUESTS = Counter(
    "sensorium_receiver_requests", "Webhook requests by answer.", ["provider", "status"]
)
RECEIVER_REFUSED = Counter(
    "sensorium_receiver_refused",
    "Webhook deliveries and chat messages that were not stored, by a reason that only "
    "the operator sees (docs/reference/reasons.md). Growing: sensorium "
    "endpoints deliveries.",
    ["provider", "reason"],
)
RECEIVER_ACK = Histogram(
    "sensorium_receiver_ack_seconds",
    "Time from the complete request body to the acknowledgement of Kafka.",
    buckets=_SECONDS,
)
RECEIVER_PENDING_BYTES = Gauge(
    "sensorium_receiver_pending_bytes",
    "Bytes of request bodies in memory: being read, or read and not yet acknowledged.",
)
RECEIVER_OLD_SIGNATURES = Counter(
    "sensorium_receiver_old_signatures",
    "Accepted valid signatures whose time was more than 300 s ago.",
    ["provider"],
)

AI_CALLS = Counter(
    "sensorium_ai_calls",
    "Model calls by result: answered, the reason why there is no text to store, or the "
    "error that prevented an answer (model_rejected_key, model_timeout, ...; "
    "connectors/models/errors.py).",
    ["stage", "model", "result"],
)
AI_TOKENS = Counter(
    "sensorium_ai_tokens", "Tokens as counted by the model.", ["stage", "model", "direction"]
)
AI_COST = Counter(
    "sensorium_ai_cost_microusd",
    "Cost of the model calls whose price is known, in millionths of a US dollar.",
    ["stage", "model"],
)
AI_UNPRICED = Counter(
    "sensorium_ai_unpriced_calls",
    "Model calls without a known price, which the cost does not include. "
    "Set SENSORIUM_OPENAI__PRICES_FILE.",
    ["stage", "model"],
)
AI_TROUBLE = Counter(
    "sensorium_ai_trouble",
    "Model calls without an answer, by kind of error (connectors/models/errors.py). "
    "Growing: sensorium doctor.",
    ["stage", "trouble"],
)
AI_HELD = Gauge(
    "sensorium_ai_held_tenants",
    "Tenants whose jobs wait because of a key, a model or a setting. Above 0 for "
    "minutes: sensorium doctor, with --tenant NAME for a tenant with its own key (log "
    "events model_trouble, model_rejected_key).",
    ["stage"],
)
AI_SECONDS = Histogram(
    "sensorium_ai_call_seconds", "Duration of a model call.", ["stage"], buckets=_SECONDS
)
AI_CACHE = Counter(
    "sensorium_ai_cache", "Results looked up by content: hit or miss.", ["stage", "result"]
)

LOCAL_MODEL_REQUESTS = Counter(
    "sensorium_local_model_requests",
    "Requests to the local models by HTTP status. Many 429: this machine is too slow for them.",
    ["sense", "status"],
)
LOCAL_MODEL_SECONDS = Histogram(
    "sensorium_local_model_job_seconds",
    "Processing time of one picture or sound, without the time in the queue.",
    ["sense"],
    buckets=_SECONDS,
)
LOCAL_MODEL_WAITING = Gauge(
    "sensorium_local_model_requests_waiting",
    "Requests of a sense (vision or speech) that are being processed or queued.",
    ["sense"],
)

MEDIA_BYTES = Counter("sensorium_media_stored_bytes", "Bytes put into the object store.", ["type"])
MEDIA_HASH_MISMATCH = Counter(
    "sensorium_media_hash_mismatch",
    "Files whose digest differs from the one that the provider declared.",
    ["provider"],
)

SINK_ROWS = Counter(
    "sensorium_sink_rows",
    "Rows by result: written, unchanged, quarantined.",
    ["topic", "result"],
)
SINK_LAG = Gauge(
    "sensorium_sink_lag_records",
    "Records of the topic not yet in Postgres.",
    ["topic", "partition"],
)
SINK_COMMIT = Histogram(
    "sensorium_sink_commit_seconds", "Duration of a sink transaction.", buckets=_SECONDS
)
SINK_OUT_OF_STEP = Counter(
    "sensorium_sink_out_of_step",
    "Times that the position in Postgres differed from the sink's, after a failover or "
    "a restore. The sink then reads again from the position in Postgres.",
)

RETENTION_BOUNDED = Counter(
    "sensorium_retention_bounded_rows",
    "Rows deleted because one tenant had too many, by table. The log names the tenant "
    "(`tenant_rows_dropped`).",
    ["table"],
)
RETENTION_ROWS = Counter(
    "sensorium_retention_rows", "Rows deleted because they expired, by table.", ["table"]
)

CONSOLE_REQUESTS = Counter(
    "sensorium_console_requests", "Console requests by route and status.", ["route", "status"]
)
CONSOLE_WAITING = Gauge(
    "sensorium_console_waiting_requests",
    "Requests that wait for a conversation. At 2,000, or 1,000 of one tenant, more are refused.",
)
CONSOLE_SECONDS = Histogram(
    "sensorium_console_request_seconds",
    "Duration of a console request, without the time that the client asked it to wait.",
    ["route"],
    buckets=_SECONDS,
)

DIRECTORY_AGE = Gauge(
    "sensorium_directory_age_seconds",
    "Time since this process last read the changes of tenants, endpoints and keys from "
    "Postgres. Over 60: revoked keys still work here; look at Postgres and at the log.",
)
DIRECTORY_TENANTS = Gauge("sensorium_directory_tenants", "Tenants known to this process.")
DIRECTORY_UNREADABLE = Gauge(
    "sensorium_directory_unreadable_rows",
    "Rows of tenants and endpoints that this process needed and that SECRETS__KEY does "
    "not decrypt. Only those are out of service. sensorium doctor checks all rows.",
    ["table"],
)
DIRECTORY_REFUSED = Gauge(
    "sensorium_directory_refused",
    "1: Postgres answers, but refuses to return tenants and keys (login, rights, "
    "migration). The role works with its last copy and is not ready.",
)
