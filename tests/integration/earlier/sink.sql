-- The statements with which the program of migration 0022 wrote a batch, word for word: it had rows of their own for steps and one
-- row per arrival. tests/integration/test_rollback.py executes them on the newest schema. When a step after the roll-out takes
-- something away that they use, put those of the program before that step here.

-- name: announce_writing
LOCK TABLE chat_messages IN ROW EXCLUSIVE MODE;

-- name: know_partitions
INSERT INTO sink_offsets (topic, partition, topic_id, next_offset, epoch)
SELECT topic, partition, topic_id, -1, 0
FROM unnest($1::text[], $2::integer[], $3::text[]) AS new (topic, partition, topic_id)
WHERE NOT EXISTS (SELECT 1 FROM sink_offsets o WHERE o.topic = new.topic AND o.partition = new.partition)
ORDER BY topic, partition
ON CONFLICT (topic, partition) DO NOTHING;

-- name: take_partitions
WITH free AS (
    SELECT o.topic, o.partition FROM sink_offsets o
    JOIN unnest($1::text[], $2::integer[]) AS asked (topic, partition) USING (topic, partition)
    ORDER BY o.topic, o.partition
    FOR UPDATE OF o SKIP LOCKED
)
UPDATE sink_offsets o SET epoch = o.epoch + 1
FROM free WHERE o.topic = free.topic AND o.partition = free.partition
RETURNING o.topic, o.partition, o.topic_id, o.next_offset, o.epoch;

-- name: move_offset
UPDATE sink_offsets SET next_offset = $3 WHERE topic = $1 AND partition = $2 AND epoch = $4 AND next_offset = $5;

-- name: removal_lock
SELECT pg_advisory_xact_lock_shared(hashtext(current_schema() || '_removal'));

-- name: removed_tenants
SELECT tenant_id FROM tenants WHERE removed_at IS NOT NULL AND NOT data_kept;

-- name: merge_messages
INSERT INTO chat_messages AS there
    (tenant_id, message_key, provider, conversation_id, role, direction, kind, content, content_attributes, status, version,
     occurred_at, received_at, enriched_at, sender_id, sender_name, endpoint_id, changed_era, changed_xid)
SELECT tenant_id, message_key, provider, conversation_id, role, direction, kind, content, content_attributes::jsonb, status, version,
       occurred_at, received_at, enriched_at, sender_id, sender_name, endpoint_id,
       (SELECT feed_era()), (SELECT pg_current_xact_id()::text::bigint)
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[],
            $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::text[], $16::text[], $17::text[])
    AS new (tenant_id, message_key, provider, conversation_id, role, direction, kind, content, content_attributes, status, version,
            occurred_at, received_at, enriched_at, sender_id, sender_name, endpoint_id)
ON CONFLICT (tenant_id, message_key) DO UPDATE SET
    role = EXCLUDED.role, direction = EXCLUDED.direction, kind = EXCLUDED.kind, content = EXCLUDED.content,
    content_attributes = EXCLUDED.content_attributes, status = EXCLUDED.status, version = EXCLUDED.version,
    occurred_at = EXCLUDED.occurred_at, received_at = LEAST(there.received_at, EXCLUDED.received_at), enriched_at = EXCLUDED.enriched_at,
    sender_id = EXCLUDED.sender_id, sender_name = EXCLUDED.sender_name,
    endpoint_id = coalesce(EXCLUDED.endpoint_id, there.endpoint_id),
    changed_era = EXCLUDED.changed_era, changed_xid = EXCLUDED.changed_xid,
    redoing_version = CASE WHEN there.redoing_version > EXCLUDED.version THEN there.redoing_version END
WHERE there.version < EXCLUDED.version AND (there.received_at = EXCLUDED.received_at OR EXCLUDED.version > 200)
  AND (EXCLUDED.status <> 'pending' OR there.status = 'pending' OR EXCLUDED.version <= 1000);

-- name: mark_redoing
UPDATE chat_messages AS there SET redoing_version = new.version
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS new (tenant_id, message_key, version)
WHERE there.tenant_id = new.tenant_id AND there.message_key = new.message_key AND there.status <> 'pending'
  AND there.version < new.version AND coalesce(there.redoing_version, 0) < new.version;

-- name: insert_arrivals
INSERT INTO inbound_messages AS there
    (tenant_id, provider, provider_message_id, message_key, topic, partition, "offset", occurred_at, received_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::bigint[], $8::timestamptz[], $9::timestamptz[])
ON CONFLICT (tenant_id, provider, provider_message_id) DO UPDATE SET
    topic = EXCLUDED.topic, partition = EXCLUDED.partition, "offset" = EXCLUDED."offset",
    occurred_at = EXCLUDED.occurred_at, received_at = EXCLUDED.received_at, outcome = 'forwarded', reason = ''
WHERE there.occurred_at IS NULL;

-- name: merge_deliveries
INSERT INTO inbound_messages AS there
    (tenant_id, provider, provider_message_id, message_key, topic, partition, "offset", received_at, outcome, reason, deliveries)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::bigint[], $8::timestamptz[],
                     $9::text[], $10::text[], $11::bigint[])
ON CONFLICT (tenant_id, provider, provider_message_id) DO UPDATE SET
    deliveries = there.deliveries + EXCLUDED.deliveries,
    outcome = CASE WHEN there.outcome = 'forwarded' OR EXCLUDED.outcome = 'duplicate' THEN there.outcome ELSE EXCLUDED.outcome END,
    reason = CASE WHEN there.outcome = 'forwarded' OR EXCLUDED.outcome = 'duplicate' THEN there.reason ELSE EXCLUDED.reason END;

-- name: insert_aliases
INSERT INTO conversation_aliases (tenant_id, alias, conversation_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ON CONFLICT DO NOTHING;

-- name: insert_objects
INSERT INTO media_objects (tenant_id, object_key, message_key, attachment_index, sha256, mime_type, bytes, original_url, stored_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::timestamptz[])
ON CONFLICT DO NOTHING;

-- name: insert_steps
INSERT INTO message_steps (tenant_id, message_key, stage, topic, partition, "offset", outcome, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::text[], $8::timestamptz[])
ON CONFLICT DO NOTHING;

-- name: insert_quarantined
INSERT INTO quarantined_messages
    (stage, topic, partition, tenant_id, reason, detail, record_key, "offset", created_at, key, value, headers, program_version, topic_id)
SELECT stage, topic, partition, tenant_id, reason, detail, record_key, "offset", created_at, key, value, headers::jsonb, program_version, topic_id
FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::timestamptz[],
            $10::bytea[], $11::bytea[], $12::text[], $13::text[], $14::text[])
    AS new (stage, topic, partition, tenant_id, reason, detail, record_key, "offset", created_at, key, value, headers, program_version, topic_id)
WHERE NOT EXISTS (SELECT 1 FROM quarantined_messages q WHERE q.stage = new.stage AND q.topic = new.topic AND q.partition = new.partition
                     AND q."offset" = new."offset" AND q.topic_id = '' AND q.created_at = new.created_at)
ON CONFLICT DO NOTHING;

-- name: tell
SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload;
