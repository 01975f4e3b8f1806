-- name: conversation_ids
-- A conversation's id with the other ids of the same conversation.
SELECT $2::text AS id
UNION SELECT conversation_id FROM conversation_aliases WHERE tenant_id = $1 AND alias = $2
UNION SELECT alias FROM conversation_aliases WHERE tenant_id = $1 AND conversation_id = $2;

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
-- A message that announced an original address.
SELECT provider, message_key FROM chat_messages
WHERE tenant_id = $1 AND content_attributes ? 'attachments'
  AND content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('original_url', $2::text)) LIMIT 1;
