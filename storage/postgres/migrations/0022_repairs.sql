-- Repairs that people planned in the console: what they are for, how far they are, and what was tried too often.

-- `done_at` and `done_key` are the last message that was tried again; whoever holds `held_until` goes on from there.
CREATE TABLE repairs (
    tenant_id  text        NOT NULL,
    repair_id  text        NOT NULL UNIQUE,
    reason     text        NOT NULL,
    state      text        NOT NULL CHECK (state IN ('planned', 'running', 'done', 'cancelled')),
    person     text        NOT NULL,
    messages   bigint      NOT NULL,
    files      jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ends_at    timestamptz NOT NULL,
    began_at   timestamptz,
    ended_at   timestamptz,
    generation bigint,
    looked     bigint      NOT NULL DEFAULT 0,
    redone     bigint      NOT NULL DEFAULT 0,
    set_aside  bigint      NOT NULL DEFAULT 0,
    done_at    timestamptz NOT NULL DEFAULT '-infinity',
    done_key   text        NOT NULL DEFAULT '',
    held_until timestamptz,
    trouble    text        NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, repair_id)
);
CREATE INDEX repairs_running ON repairs (tenant_id, created_at) WHERE state = 'running';

CREATE TABLE repair_tries (
    tenant_id   text    NOT NULL,
    message_key text    NOT NULL,
    reason      text    NOT NULL,
    tries       integer NOT NULL,
    PRIMARY KEY (tenant_id, message_key, reason)
);
