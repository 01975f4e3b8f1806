-- Messages that were erased by a command. Only a digest of the key is kept, so that no redelivery, late result or replay
-- brings one back.
CREATE TABLE erased_messages (
    tenant_id  text        NOT NULL,
    key_digest bytea       NOT NULL,
    erased_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key_digest)
);

-- Which messages show the same content; which records in quarantine are about a message; who spoke.
CREATE INDEX media_objects_by_content ON media_objects (tenant_id, sha256);
CREATE INDEX quarantined_messages_by_key ON quarantined_messages (tenant_id, record_key);
CREATE INDEX chat_messages_by_sender ON chat_messages (tenant_id, sender_id) WHERE sender_id IS NOT NULL;
