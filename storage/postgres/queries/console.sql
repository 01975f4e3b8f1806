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

-- name: context_keys
-- The latest messages of a conversation, notes left out, with their size as stored; of the last 5 minutes whatever is asked for.
WITH latest AS (
    SELECT one.*, sum(least(coalesce(one.content_bytes, 0), $6) + least(one.attribute_bytes, $7))
        OVER (ORDER BY one.received_at DESC, one.message_key DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer_bytes
    FROM unnest($2::text[]) AS names (conversation_id), LATERAL (
        SELECT message_key, version, enriched_at, status, received_at, octet_length(content) AS content_bytes,
               pg_column_size(content_attributes) AS attribute_bytes
        FROM chat_messages
        WHERE tenant_id = $1 AND conversation_id = names.conversation_id AND kind <> 'note'
          AND received_at >= now() - make_interval(secs => greatest($3, 300))
        ORDER BY received_at DESC, message_key DESC LIMIT $4
    ) AS one
    ORDER BY one.received_at DESC, one.message_key DESC LIMIT $4
)
SELECT message_key, version, enriched_at, status, coalesce(newer_bytes, 0) < $5 AS fits,
       received_at >= now() - make_interval(secs => $3) AS is_within, received_at >= now() - interval '5 minutes' AS is_recent
FROM latest ORDER BY received_at DESC, message_key DESC;

-- name: context_rows
-- These messages, newest first while they fit into a number of bytes; a long content is cut, and so is each text of large attributes.
SELECT message_key, version, enriched_at, role, kind, content, is_cut, attributes, occurred_at FROM (
    SELECT *, sum(coalesce(octet_length(content), 0) + octet_length(attributes))
        OVER (ORDER BY received_at DESC, message_key DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer_bytes
    FROM (
        SELECT message_key, version, enriched_at, role, kind, left(content, $3) AS content,
               coalesce(octet_length(content) > octet_length(left(content, $3)), false) AS is_cut,
               occurred_at, received_at,
               CASE WHEN octet_length(content_attributes::text) <= $4 THEN content_attributes::text ELSE jsonb_strip_nulls(jsonb_build_object(
                   'transcript', left(content_attributes ->> 'transcript', $4 / 8),
                   'provider', CASE WHEN octet_length((content_attributes -> 'provider')::text) <= $4 / 2 THEN content_attributes -> 'provider' END,
                   'attachments', (
                       SELECT jsonb_agg((
                           SELECT jsonb_object_agg(name, CASE WHEN jsonb_typeof(value) = 'string' THEN to_jsonb(left(value #>> '{}', $4 / 64)) ELSE value END)
                           FROM jsonb_each(attachment) AS field (name, value)
                           WHERE jsonb_typeof(value) NOT IN ('object', 'array') AND (name <> 'original_url' OR octet_length(value #>> '{}') <= $4 / 64)
                       )) FROM (
                           SELECT attachment FROM jsonb_array_elements(content_attributes -> 'attachments') WITH ORDINALITY AS every (attachment, place)
                           ORDER BY place LIMIT 50
                       ) AS first_ones
                   )
               ))::text END AS attributes
        FROM chat_messages WHERE tenant_id = $1 AND message_key = ANY($2::text[])
    ) AS cut
) AS sized WHERE coalesce(newer_bytes, 0) < $5 ORDER BY received_at DESC, message_key DESC;

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
