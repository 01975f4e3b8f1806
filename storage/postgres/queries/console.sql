-- name: conversation_ids
-- All ids of a conversation, nearest first. Aliases are followed both ways, as a customer's number and user id may have met in one
-- message only. Three steps lead from any form of a number to any other id of its owner; the bounds are for whoever has very many.
WITH RECURSIVE names (id, steps) AS (
    SELECT unnest($2::text[]), 0
    UNION
    SELECT next.id, names.steps + 1
    FROM names, LATERAL (
        (SELECT conversation_id AS id FROM conversation_aliases WHERE tenant_id = $1 AND alias = names.id LIMIT 16)
        UNION ALL
        (SELECT alias FROM conversation_aliases WHERE tenant_id = $1 AND conversation_id = names.id LIMIT 16)
    ) AS next
    WHERE names.steps < 3
)
SELECT id FROM names GROUP BY id ORDER BY min(steps), id LIMIT 64;

-- name: context_messages
-- The latest messages of a conversation, notes left out; images of the last 5 minutes are visual context.
SELECT message_key, role, kind, content, content_attributes, status, occurred_at, received_at >= now() - interval '5 minutes' AS is_recent
FROM chat_messages
WHERE tenant_id = $1 AND conversation_id = ANY($2::text[]) AND received_at >= now() - make_interval(secs => $3) AND kind <> 'note'
ORDER BY received_at DESC, message_key DESC
LIMIT $4;

-- name: known_keys
-- Which of these messages are rows.
SELECT message_key, status FROM chat_messages WHERE tenant_id = $1 AND message_key = ANY($2::text[]);

-- name: message
-- One message.
SELECT message_key, provider, conversation_id, role, direction, kind, content, content_attributes, status, version,
       occurred_at, received_at, enriched_at, sender_id, sender_name
FROM chat_messages WHERE tenant_id = $1 AND message_key = $2;

-- name: steps
-- What a message went through.
SELECT stage, outcome, topic, partition, "offset", at FROM message_steps
WHERE tenant_id = $1 AND message_key = $2 ORDER BY at, topic, partition, "offset";

-- name: stored_by_original
-- The stored file of an original address.
SELECT object_key FROM media_objects
WHERE tenant_id = $1 AND md5(original_url) = md5($2) AND original_url = $2 ORDER BY stored_at DESC LIMIT 1;

-- name: announced_by_original
-- Who announced an original address. A message that came in by an endpoint is preferred to one that anybody with a chat key could send.
SELECT provider, endpoint_id, content_attributes -> 'provider' AS attributes FROM chat_messages
WHERE tenant_id = $1 AND content_attributes ? 'attachments'
  AND content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('original_url', $2::text))
ORDER BY coalesce(endpoint_id = 'direct', false), endpoint_id IS NULL, coalesce(content_attributes -> 'provider' ? 'event_type', false) DESC
LIMIT 1;
