-- Messages that were erased by a command. Only a digest of the key is kept, so that no redelivery, late result or replay
-- brings one back.
CREATE TABLE erased_messages (
    tenant_id  text        NOT NULL,
    key_digest bytea       NOT NULL,
    erased_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key_digest)
);
