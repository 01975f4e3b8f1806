-- name: rows_after
-- The next rows of messages in their order, of tenants that were not removed, and where each arrived.
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
-- How many rows there are to be written again, and how many of them are unfinished.
SELECT count(*) AS messages, count(*) FILTER (WHERE status = 'pending') AS unfinished FROM chat_messages m
WHERE NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = m.tenant_id AND t.removed_at IS NOT NULL);

-- name: positions
-- Where the sink stands in these topics, and which topic of that name it is.
SELECT topic, partition, topic_id, next_offset FROM sink_offsets WHERE topic = ANY($1::text[]);

-- name: forget_positions
-- Lets the sink begin again in these topics.
DELETE FROM sink_offsets WHERE topic = ANY($1::text[]);

-- name: forget_redoing
-- Repairs that were under way are lost with their jobs: the rows are what they show.
UPDATE chat_messages SET redoing_version = NULL WHERE redoing_version IS NOT NULL;
