-- What fails is found: why a job waits, what became of it, and who changed what. A finished row stays finished while it is redone.

-- Set while a repair redoes a finished message: the version that the topic has and the row does not show yet.
ALTER TABLE chat_messages ADD COLUMN redoing_version bigint;

-- A job whose last try failed, one row for each attachment and stage. Written beside the work: a hint for people, never a fact
-- that work rests on. A row goes when its job ends well; of a job that failed it stays for 30 days with what was said last.
CREATE TABLE job_attempts (
    tenant_id        text        NOT NULL,
    message_key      text        NOT NULL,
    attachment_index integer     NOT NULL,
    stage            text        NOT NULL,
    generation       bigint      NOT NULL,
    attempts         integer     NOT NULL,
    cause            text        NOT NULL,
    detail           text        NOT NULL,
    first_at         timestamptz NOT NULL,
    last_at          timestamptz NOT NULL,
    next_at          timestamptz,
    PRIMARY KEY (tenant_id, message_key, attachment_index, stage)
);
CREATE INDEX job_attempts_by_time ON job_attempts (last_at);

-- Who ran the command: user and host, as the command's machine knows them.
ALTER TABLE audit_log ADD COLUMN actor text NOT NULL DEFAULT coalesce(nullif(current_setting('sensorium.actor', true), ''), '');
