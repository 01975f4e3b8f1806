-- Writing the topics again from the rows after Kafka was lost. Used by streams/repair/recovery.py.

-- name: rows_after
-- Returns the next messages in key order, with the position of their first delivery. Skips removed
-- tenants. $3 restricts the status, NULL for any.
SELECT m.*, i.topic, i.partition, i."offset"
FROM chat_messages m
LEFT JOIN LATERAL (
    SELECT a.topic, a.partition, a."offset" FROM arrivals a WHERE a.tenant_id = m.tenant_id AND a.provider = m.provider
        AND a.provider_message_id = substr(m.message_key, length(m.tenant_id) + length(m.provider) + 3) OFFSET 0
) AS i ON true
WHERE (m.tenant_id, m.message_key) > ($1, $2) AND ($3::text IS NULL OR m.status = $3)
  AND NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = m.tenant_id AND t.removed_at IS NOT NULL)
ORDER BY m.tenant_id, m.message_key
LIMIT $4;

-- name: counted
-- Counts the messages that will be written again, and how many of them are unfinished.
SELECT count(*) AS messages, count(*) FILTER (WHERE status = 'pending') AS unfinished FROM chat_messages m
WHERE NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = m.tenant_id AND t.removed_at IS NOT NULL);

-- name: positions
-- Returns the sink's positions in these topics, with the Kafka topic id that each belongs to, and
-- whether the log was found to end before it.
SELECT topic, partition, topic_id, next_offset, coalesce(next_offset > lost_end, false) AS is_lost FROM sink_offsets WHERE topic = ANY($1::text[]);

-- name: forget_positions
-- Deletes the sink's positions in these topics, so that it starts from their beginning.
DELETE FROM sink_offsets WHERE topic = ANY($1::text[]);

-- name: forget_redoing
-- Clears the marks of running repairs. Their jobs were lost with the topics, so each row keeps the
-- version it shows.
UPDATE chat_messages SET redoing_version = NULL WHERE redoing_version IS NOT NULL;
