-- What became of every raw record's key, and how often it was delivered: from the receipts of dedupe.

ALTER TABLE inbound_messages
    ALTER COLUMN occurred_at DROP NOT NULL,
    ADD COLUMN outcome    text   NOT NULL DEFAULT 'forwarded',
    ADD COLUMN reason     text   NOT NULL DEFAULT '',
    ADD COLUMN deliveries bigint NOT NULL DEFAULT 1;
ALTER TABLE inbound_messages ALTER COLUMN deliveries SET DEFAULT 0;
CREATE INDEX inbound_messages_not_forwarded ON inbound_messages (tenant_id, received_at) WHERE outcome <> 'forwarded';

-- A stage that stopped because too much of what it read would have gone to quarantine, and who let it go on.
CREATE TABLE stage_stops (
    stage       text        NOT NULL,
    stopped_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    detail      text        NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    resumed_at  timestamptz,
    quiet_until timestamptz,
    PRIMARY KEY (stage, stopped_at)
);
