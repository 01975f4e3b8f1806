-- Reads and changes of the commands `replay` and `quarantine`, and of applying repairs. Used by
-- streams/commands/ and streams/repair/.

-- name: redone_messages
-- Counts the degraded messages with a file that failed for a reason and that a running repair is
-- redoing.
SELECT count(*) FROM chat_messages m
WHERE m.status = 'degraded' AND m.redoing_version IS NOT NULL AND ($2::text IS NULL OR m.tenant_id = $2)
  AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $1::text));

-- name: aliases
-- Returns the aliases of a conversation.
SELECT alias FROM conversation_aliases WHERE tenant_id = $1 AND conversation_id = $2 ORDER BY alias;

-- name: quarantined
-- Returns quarantined records without their bytes, oldest first. Every parameter but the limit may
-- be NULL for no restriction.
SELECT tenant_id, stage, reason, detail, record_key, topic, partition, "offset", topic_id, created_at, state
FROM quarantined_messages
WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR stage = $2) AND ($3::text IS NULL OR reason = $3)
  AND ($4::text IS NULL OR state = $4) AND ($5::text IS NULL OR topic = $5) AND ($6::integer IS NULL OR partition = $6)
  AND ($7::bigint IS NULL OR "offset" = $7)
ORDER BY created_at, topic, partition, "offset"
LIMIT $8;

-- name: quarantined_whole
-- Returns these quarantined records with their bytes, in the given order. Skips records whose body
-- was dropped (`drop_bodies` in retention.sql), because writing them without a value would write
-- tombstones.
SELECT q.stage, q.topic, q.partition, q."offset", q.topic_id, q.key, q.value, q.headers
FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[])
    WITH ORDINALITY AS wanted (stage, topic, partition, "offset", topic_id, nth)
JOIN quarantined_messages q USING (stage, topic, partition, "offset", topic_id)
WHERE q.value IS NOT NULL OR q.state <> 'dismissed'
ORDER BY wanted.nth;

-- name: superseded
-- Returns which of these versions, by number from 1, are older than the row of their message.
SELECT wanted.nth
FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS wanted (tenant_id, message_key, version, nth)
JOIN chat_messages m ON m.tenant_id = wanted.tenant_id AND m.message_key = wanted.message_key
WHERE m.version > wanted.version;

-- name: dismiss_quarantined
-- Marks new quarantined records as dismissed, so that they are not replayed. Called after a person
-- has looked at them. It locks them in the order in which a sink and a repair do.
WITH chosen AS MATERIALIZED (
    SELECT stage, topic, partition, "offset", topic_id FROM quarantined_messages
    WHERE state = 'new' AND ($1::text IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR stage = $2)
      AND ($3::text IS NULL OR reason = $3) AND ($4::text IS NULL OR topic = $4) AND ($5::integer IS NULL OR partition = $5)
      AND ($6::bigint IS NULL OR "offset" = $6)
    ORDER BY stage COLLATE "C", topic COLLATE "C", partition, "offset" FOR UPDATE
)
UPDATE quarantined_messages q SET state = 'dismissed' FROM chosen
WHERE q.stage = chosen.stage AND q.topic = chosen.topic AND q.partition = chosen.partition AND q."offset" = chosen."offset"
  AND q.topic_id = chosen.topic_id
RETURNING q.tenant_id;

-- name: became_of
-- Returns what became of replayed records by key: `written` (a row has a version of that
-- generation), `quarantined` again since $4, or neither yet. A NULL generation accepts any row.
SELECT wanted.key,
       EXISTS (SELECT 1 FROM chat_messages m WHERE m.tenant_id = wanted.tenant_id AND m.message_key = wanted.key
                  AND (wanted.generation IS NULL OR m.version / 1000 = wanted.generation)) AS written,
       EXISTS (SELECT 1 FROM quarantined_messages q WHERE q.tenant_id = wanted.tenant_id AND q.record_key = wanted.key
                  AND q.created_at >= $4) AS quarantined
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS wanted (tenant_id, key, generation);

-- name: tenant_exists
-- Returns whether a tenant of this name exists, removed or not.
SELECT EXISTS (SELECT 1 FROM tenants WHERE tenant_id = $1);
