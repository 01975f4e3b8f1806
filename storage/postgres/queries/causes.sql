-- Failed files by reason. A rare reason is found by the index of attachments, which holds all
-- tenants; a frequent one by a walk in the order of the messages. Postgres cannot choose, because it
-- has no statistics of what an array of attachments contains: `cause_found` does. Used by
-- connectors/console/pages/ and storage/postgres/repairs.py.

-- name: cause_found
-- Counts how many messages of all tenants have a file that failed for the reason ($2), up to $3.
-- The CTE is materialized and does not name the tenant, so that only the index of attachments can
-- serve it.
WITH hits AS MATERIALIZED (
    SELECT 1 FROM chat_messages WHERE content_attributes ? 'attachments'
      AND content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
)
SELECT count(*) AS found FROM (SELECT FROM hits WHERE $1 <> '' LIMIT $3) AS bounded;

-- name: failed_messages_by_reason
-- Returns messages with a file that failed for a reason ($2), before a position, newest first. Looks
-- at $5 degraded messages and returns at most $6. `is_set_aside` is true for those that were tried
-- $7 times.
SELECT message_key, conversation_id, received_at, kind, redoing_version IS NOT NULL AS is_redoing, sender_name,
       EXISTS (SELECT FROM repair_tries t WHERE t.tenant_id = $1 AND t.message_key = newest.message_key AND t.reason = $2 AND t.tries >= $7) AS is_set_aside
FROM (
    SELECT message_key, conversation_id, received_at, kind, redoing_version, sender_name, content_attributes FROM chat_messages
    WHERE tenant_id = $1 AND status = 'degraded' AND (received_at, message_key) < ($3, $4)
    ORDER BY received_at DESC, message_key DESC LIMIT $5
) AS newest
WHERE content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
ORDER BY received_at DESC, message_key DESC LIMIT $6;

-- name: place_of_failed
-- Returns the position of the degraded message that is the $4th before a position.
SELECT received_at, message_key FROM chat_messages
WHERE tenant_id = $1 AND status = 'degraded' AND (received_at, message_key) < ($2, $3)
ORDER BY received_at DESC, message_key DESC OFFSET $4::bigint - 1 LIMIT 1;

-- name: rare_failed_messages
-- Returns the same as `failed_messages_by_reason` for a rare reason, among all messages. The
-- expressions `|| ''` keep the planner from using other indexes.
WITH hits AS MATERIALIZED (
    SELECT message_key, conversation_id, received_at, kind, redoing_version, sender_name FROM chat_messages
    WHERE tenant_id || '' = $1 AND status || '' = 'degraded' AND content_attributes ? 'attachments'
      AND content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
)
SELECT message_key, conversation_id, received_at, kind, redoing_version IS NOT NULL AS is_redoing, sender_name,
       EXISTS (SELECT FROM repair_tries t WHERE t.tenant_id = $1 AND t.message_key = hits.message_key AND t.reason = $2 AND t.tries >= $6) AS is_set_aside
FROM hits
WHERE (received_at, message_key) < ($3, $4) ORDER BY received_at DESC, message_key DESC LIMIT $5;

-- name: count_rare_failed
-- Counts the same as `count_failed` for a rare reason, at a tenant or at all ('*').
WITH hits AS MATERIALIZED (
    SELECT tenant_id, message_key, received_at, content_attributes FROM chat_messages
    WHERE ($1 = '*' OR tenant_id || '' = $1) AND status || '' = 'degraded' AND redoing_version IS NULL AND content_attributes ? 'attachments'
      AND content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
)
SELECT m.tenant_id, attachment ->> 'type' AS type, count(DISTINCT m.message_key) AS messages, count(*) AS files,
       attachment ? 'url' OR attachment ? 'original_url' AS is_redoable, m.is_set_aside, $5 AND NOT attachment ? 'url' AS is_gone
FROM (
    SELECT h.tenant_id, h.message_key, h.content_attributes, coalesce(t.tries, 0) >= $4 AS is_set_aside
    FROM hits h LEFT JOIN repair_tries t ON t.tenant_id = h.tenant_id AND t.message_key = h.message_key AND t.reason = $2
    ORDER BY h.received_at, h.message_key LIMIT $3
) AS m
CROSS JOIN LATERAL jsonb_array_elements(m.content_attributes -> 'attachments') AS attachment
WHERE attachment ->> 'status' = 'failed' AND attachment ->> 'reason' = $2
GROUP BY m.tenant_id, 2, 5, 6, 7 ORDER BY m.tenant_id, 2, 5, 6, 7;

-- name: next_rare_failed
-- Returns the same as `next_failed` for a rare reason, at a tenant or at all ('*').
WITH hits AS MATERIALIZED (
    SELECT tenant_id, message_key, received_at, enriched_at, content_attributes FROM chat_messages
    WHERE ($1 = '*' OR tenant_id || '' = $1) AND status || '' = 'degraded' AND redoing_version IS NULL AND content_attributes ? 'attachments'
      AND content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
)
SELECT m.tenant_id, m.message_key, m.received_at, coalesce(t.tries, 0) AS tries
FROM hits m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
WHERE m.enriched_at < $3 AND (m.received_at, m.message_key) > ($4, $5)
  AND (NOT $7 OR EXISTS (SELECT FROM jsonb_array_elements(m.content_attributes -> 'attachments') a
                         WHERE a ->> 'status' = 'failed' AND a ->> 'reason' = $2 AND a ? 'url'))
ORDER BY m.received_at, m.message_key LIMIT $6;
