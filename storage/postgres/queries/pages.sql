-- What the console's pages read and write about one tenant. Used by connectors/console/pages/.

-- name: newest
-- Returns the messages before a position, newest first. `is_newest` is true for the newest message
-- of its conversation if the provider matches ($4, NULL for any), so that a list shows each
-- conversation once.
SELECT message_key, conversation_id, received_at,
       NOT EXISTS (SELECT 1 FROM chat_messages newer WHERE newer.tenant_id = $1 AND newer.conversation_id = w.conversation_id
                   AND (newer.received_at, newer.message_key) > (w.received_at, w.message_key))
           AND ($4::text IS NULL OR provider = $4) AS is_newest
FROM (
    SELECT message_key, conversation_id, received_at, provider FROM chat_messages
    WHERE tenant_id = $1 AND (received_at, message_key) < ($2, $3) ORDER BY received_at DESC, message_key DESC LIMIT $5
) AS w
ORDER BY received_at DESC, message_key DESC;

-- name: newest_pending
-- Returns the unfinished messages before a position, newest first. `is_newest` is true for the
-- newest unfinished message of its conversation.
SELECT message_key, conversation_id, received_at,
       NOT EXISTS (SELECT 1 FROM chat_messages newer WHERE newer.tenant_id = $1 AND newer.conversation_id = w.conversation_id
                   AND newer.status = 'pending' AND (newer.received_at, newer.message_key) > (w.received_at, w.message_key))
           AND ($4::text IS NULL OR provider = $4) AS is_newest
FROM (
    SELECT message_key, conversation_id, received_at, provider FROM chat_messages
    WHERE tenant_id = $1 AND status = 'pending' AND (received_at, message_key) < ($2, $3)
    ORDER BY received_at DESC, message_key DESC LIMIT $5
) AS w
ORDER BY received_at DESC, message_key DESC;

-- name: newest_degraded
-- Returns the messages with a failed file before a position, newest first. `is_newest` is true for
-- the newest such message of its conversation.
SELECT message_key, conversation_id, received_at,
       NOT EXISTS (SELECT 1 FROM chat_messages newer WHERE newer.tenant_id = $1 AND newer.conversation_id = w.conversation_id
                   AND newer.status = 'degraded' AND (newer.received_at, newer.message_key) > (w.received_at, w.message_key))
           AND ($4::text IS NULL OR provider = $4) AS is_newest
FROM (
    SELECT message_key, conversation_id, received_at, provider FROM chat_messages
    WHERE tenant_id = $1 AND status = 'degraded' AND (received_at, message_key) < ($2, $3)
    ORDER BY received_at DESC, message_key DESC LIMIT $5
) AS w
ORDER BY received_at DESC, message_key DESC;

-- name: words_found
-- Counts how many messages of all tenants contain the words, up to $3. The result decides between
-- `newest_with_rare_words` and `newest_with_words`. The CTE is materialized and does not name the
-- tenant, so that only the index of words can serve it.
WITH hits AS MATERIALIZED (SELECT 1 FROM chat_messages WHERE message_words(content, content_attributes) @@ to_tsquery('simple', $2))
SELECT count(*) AS found FROM (SELECT FROM hits WHERE $1 <> '' LIMIT $3) AS bounded;

-- name: newest_with_rare_words
-- Returns the same as `newest_with_words`, for words that few messages contain: reads all matches
-- by the index of words and then sorts them. The expressions `|| ''` keep the planner from using
-- other indexes.
WITH hits AS MATERIALIZED (
    SELECT message_key, conversation_id, received_at FROM chat_messages
    WHERE tenant_id || '' = $1 AND ($4::text IS NULL OR provider = $4) AND ($7::text IS NULL OR status || '' = $7)
      AND message_words(content, content_attributes) @@ to_tsquery('simple', $6)
)
SELECT message_key, conversation_id, received_at, true AS is_newest FROM hits
WHERE (received_at, message_key) < ($2, $3) ORDER BY received_at DESC, message_key DESC LIMIT $5;

-- name: newest_with_words
-- Returns those of the next $8 messages before a position that contain the words, newest first and
-- at most $5. A conversation can appear more than once.
SELECT message_key, conversation_id, received_at, true AS is_newest
FROM (
    SELECT message_key, conversation_id, received_at, provider, status, content, content_attributes FROM chat_messages
    WHERE tenant_id = $1 AND (received_at, message_key) < ($2, $3) ORDER BY received_at DESC, message_key DESC LIMIT $8
) AS w
WHERE ($4::text IS NULL OR provider = $4) AND ($7::text IS NULL OR status = $7)
  AND message_words(content, content_attributes) @@ to_tsquery('simple', $6)
ORDER BY received_at DESC, message_key DESC LIMIT $5;

-- name: place_of_message
-- Returns the position of the message that is the $4th before a position.
SELECT received_at, message_key FROM chat_messages WHERE tenant_id = $1 AND (received_at, message_key) < ($2, $3)
ORDER BY received_at DESC, message_key DESC OFFSET $4::bigint - 1 LIMIT 1;

-- name: bound_search
-- Sets how long a statement of this transaction may take ($2, in milliseconds).
SELECT set_config('statement_timeout', $2, true) WHERE $1 <> '';

-- name: heads
-- Returns what a list shows of each conversation: one message, the customer's name, and whether one
-- of the latest 30 messages is unfinished or has a failed file.
SELECT m.message_key, m.conversation_id, m.provider, m.role, m.kind, left(m.content, 200) AS content, m.status, m.received_at,
       left(m.content_attributes ->> 'description', 200) AS description, left(m.content_attributes ->> 'transcript', 200) AS transcript,
       left(m.content_attributes #>> '{attachments,0,filename}', 200) AS filename,
       CASE WHEN octet_length((m.content_attributes -> 'provider')::text) <= 16384 THEN (m.content_attributes -> 'provider')::text END
           AS provider_data,
       customer.sender_name, latest.pending, latest.degraded
FROM unnest($2::text[]) AS wanted (message_key)
JOIN chat_messages m ON m.tenant_id = $1 AND m.message_key = wanted.message_key
CROSS JOIN LATERAL (
    SELECT (array_agg(sender_name ORDER BY received_at DESC, message_key DESC) FILTER (WHERE role = 'user' AND sender_name <> ''))[1]
        AS sender_name FROM (
        SELECT role, sender_name, received_at, message_key FROM chat_messages WHERE tenant_id = $1 AND conversation_id = m.conversation_id
        ORDER BY received_at DESC LIMIT 30
    ) AS thirty
) AS customer
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(status = 'pending'), false) AS pending, coalesce(bool_or(status = 'degraded'), false) AS degraded FROM (
        SELECT status FROM chat_messages WHERE tenant_id = $1 AND conversation_id = m.conversation_id
        ORDER BY received_at DESC LIMIT 30
    ) AS thirty
) AS latest
ORDER BY m.received_at DESC, m.message_key DESC;

-- name: providers
-- Returns the providers from which a tenant received messages. The recursion needs one index lookup
-- per provider.
WITH RECURSIVE found (provider) AS (
    (SELECT provider FROM arrival_records WHERE tenant_id = $1 ORDER BY provider LIMIT 1)
    UNION ALL
    SELECT (SELECT provider FROM arrival_records WHERE tenant_id = $1 AND provider > found.provider ORDER BY provider LIMIT 1)
    FROM found WHERE found.provider IS NOT NULL
), earlier (provider) AS (
    (SELECT provider FROM inbound_messages WHERE tenant_id = $1 ORDER BY provider LIMIT 1)
    UNION ALL
    SELECT (SELECT provider FROM inbound_messages WHERE tenant_id = $1 AND provider > earlier.provider ORDER BY provider LIMIT 1)
    FROM earlier WHERE earlier.provider IS NOT NULL
)
SELECT provider FROM found WHERE provider IS NOT NULL
UNION
SELECT provider FROM earlier WHERE provider IS NOT NULL ORDER BY provider LIMIT 50;

-- name: chat
-- Returns the messages of a conversation, under all its ids, before a position, newest first.
-- Attributes over 128 KiB are NULL.
SELECT one.* FROM unnest($2::text[]) AS names (conversation_id), LATERAL (
    SELECT message_key, provider, conversation_id, role, direction, kind, left(content, 20000) AS content,
           CASE WHEN octet_length(content_attributes::text) <= 131072 THEN content_attributes::text END AS attributes,
           status, version, occurred_at, received_at, sender_id, sender_name
    FROM chat_messages
    WHERE tenant_id = $1 AND conversation_id = names.conversation_id AND (received_at, message_key) < ($3, $4)
    ORDER BY received_at DESC, message_key DESC LIMIT $5
) AS one
ORDER BY one.received_at DESC, one.message_key DESC LIMIT $5;

-- name: one_message
-- Returns one message with the position of its first delivery and the number of deliveries.
-- Attributes over 1 MiB are NULL.
SELECT m.message_key, m.provider, m.conversation_id, m.role, m.direction, m.kind, left(m.content, 50000) AS content,
       CASE WHEN octet_length(m.content_attributes::text) <= 1048576 THEN m.content_attributes::text END AS attributes,
       m.status, m.version, m.occurred_at, m.received_at, m.enriched_at, m.sender_id, m.sender_name, m.endpoint_id,
       i.topic, i.partition, i."offset", coalesce(i.deliveries, 0) AS deliveries
FROM chat_messages m
LEFT JOIN LATERAL (
    SELECT a.topic, a.partition, a."offset", a.deliveries FROM arrivals a WHERE a.tenant_id = m.tenant_id AND a.provider = m.provider
        AND a.provider_message_id = substr(m.message_key, length(m.tenant_id) + length(m.provider) + 3) OFFSET 0
) AS i ON true
WHERE m.tenant_id = $1 AND m.message_key = $2;

-- name: deliveries_of_message
-- Returns the deliveries of a message whose time is known, before a position ($4 to $6), newest
-- first, by provider ($2) and the provider's message id ($3), at most $7. A row with `deliveries` 0
-- is a repair; `known` counts the other ones, on all pages. The reason is known of a delivery
-- that was alone in its batch of the sink.
SELECT topic, partition, "offset", received_at, deliveries, reason, known FROM (
    SELECT topic, partition, "offset", received_at, deliveries, reason, count(*) FILTER (WHERE deliveries > 0) OVER () AS known FROM (
        SELECT topic, partition, "offset", received_at, deliveries, '' AS reason FROM inbound_messages
        WHERE tenant_id = $1 AND provider = $2 AND provider_message_id COLLATE "C" = $3
        UNION ALL
        SELECT topic, partition, "offset", received_at, deliveries, CASE WHEN again_offsets IS NULL THEN reason ELSE '' END FROM arrival_records
        WHERE tenant_id = $1 AND provider = $2 AND provider_message_id = $3
        UNION ALL
        SELECT a.topic, a.partition, later."offset", later.at, 1, ''
        FROM arrival_records a, unnest(a.again_at, a.again_offsets) AS later (at, "offset")
        WHERE a.tenant_id = $1 AND a.provider = $2 AND a.provider_message_id = $3
    ) AS every
) AS counted
WHERE (received_at, "offset", partition) < ($4, $5, $6)
ORDER BY received_at DESC, "offset" DESC, partition DESC LIMIT $7;

-- name: delivery_of_message
-- Returns one delivery of a message by its partition ($4) and offset ($5), or no row.
SELECT topic, partition, "offset" FROM inbound_messages
WHERE tenant_id = $1 AND provider = $2 AND provider_message_id COLLATE "C" = $3 AND partition = $4 AND "offset" = $5
UNION ALL
SELECT topic, partition, $5::bigint FROM arrival_records
WHERE tenant_id = $1 AND provider = $2 AND provider_message_id = $3 AND partition = $4
  AND ("offset" = $5 OR $5 = ANY(again_offsets))
LIMIT 1;

-- name: steps_of
-- Returns the steps of a message through the stages, oldest first.
SELECT stage, outcome, topic, partition, "offset", at FROM steps
WHERE tenant_id = $1 AND message_key = $2 ORDER BY at, topic, partition, "offset" LIMIT 500;

-- name: model_calls
-- Returns the recorded answers of models about files, given by digest, without their texts.
SELECT sha256, kind, recipe, model, prompt_version, refused, input_tokens, output_tokens, cost_microusd, latency_ms, created_at
FROM ai_results WHERE tenant_id = $1 AND sha256 = ANY($2::text[]) ORDER BY created_at LIMIT 200;

-- name: quarantined_of
-- Returns the quarantined records with the key of a message.
SELECT stage, reason, detail, topic, partition, "offset", created_at, state FROM quarantined_messages
WHERE tenant_id = $1 AND record_key = $2 ORDER BY created_at DESC LIMIT 20;

-- name: failed_files
-- Groups the failed files of the newest $2 degraded messages by reason, type and day, each group
-- with its newest message. `redoing` counts those that a repair is redoing.
-- The select list unfolds the attachments: a lateral join would be memoized without a single hit,
-- and take twice the time.
SELECT attachment ->> 'reason' AS reason, attachment ->> 'type' AS type, (m.received_at AT TIME ZONE 'UTC')::date AS day,
       count(*) AS files, min(m.received_at) AS first_at, max(m.received_at) AS last_at,
       (max(ARRAY[extract(epoch FROM m.received_at)::numeric(20, 6)::text, m.message_key]))[2] AS message_key,
       count(*) FILTER (WHERE m.redoing_version IS NOT NULL) AS redoing
FROM (
    SELECT message_key, received_at, redoing_version,
           jsonb_array_elements(CASE WHEN jsonb_typeof(content_attributes -> 'attachments') = 'array'
               THEN content_attributes -> 'attachments' ELSE '[]' END) AS attachment
    FROM (
        SELECT message_key, received_at, redoing_version, content_attributes FROM chat_messages
        WHERE tenant_id = $1 AND status = 'degraded' ORDER BY received_at DESC LIMIT $2
    ) AS newest
) AS m
WHERE attachment ->> 'status' = 'failed'
GROUP BY 1, 2, 3;

-- name: all_failed_files
-- Groups all failed files like `failed_files`. The day is NULL for messages older than 15 days.
SELECT attachment ->> 'reason' AS reason, attachment ->> 'type' AS type,
       CASE WHEN m.received_at > now() - interval '15 days' THEN (m.received_at AT TIME ZONE 'UTC')::date END AS day,
       count(*) AS files, min(m.received_at) AS first_at, max(m.received_at) AS last_at,
       (max(ARRAY[extract(epoch FROM m.received_at)::numeric(20, 6)::text, m.message_key]))[2] AS message_key,
       count(*) FILTER (WHERE m.redoing_version IS NOT NULL) AS redoing
FROM chat_messages m
CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(m.content_attributes -> 'attachments') = 'array'
    THEN m.content_attributes -> 'attachments' ELSE '[]' END) AS attachment
WHERE m.tenant_id = $1 AND m.status = 'degraded' AND attachment ->> 'status' = 'failed'
GROUP BY 1, 2, 3;

-- name: quarantined_by_reason
-- Groups the newest $2 quarantined records by stage, reason and day. `is_sendable` is true if the
-- group has records that can be sent to their topic again.
SELECT stage, reason, (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS records, min(created_at) AS first_at, max(created_at) AS last_at,
       bool_or((stage, topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages'))) AS is_sendable
FROM (SELECT stage, reason, topic, created_at FROM quarantined_messages WHERE tenant_id = $1 AND state = 'new' ORDER BY created_at DESC LIMIT $2) AS q
GROUP BY 1, 2, 3;

-- name: quarantined_records
-- Returns quarantined records before a position, newest first, with the number of times each was
-- sent again, and the message with the same key, if any. An empty stage or reason means any.
SELECT q.*, coalesce(t.tries, 0) AS tries, m.message_key
FROM (
    SELECT tenant_id, stage, reason, left(detail, 300) AS detail, record_key, topic, partition, "offset", topic_id, created_at,
           quarantine_order(stage, topic, partition, "offset", topic_id) COLLATE "C" AS place
    FROM quarantined_messages
    WHERE tenant_id = $1 AND state = 'new' AND ($2 = '' OR stage = $2) AND ($3 = '' OR reason = $3)
      AND (created_at, quarantine_order(stage, topic, partition, "offset", topic_id) COLLATE "C") < ($4, $5 COLLATE "C")
    ORDER BY created_at DESC, place DESC LIMIT $6
) AS q
JOIN quarantined_messages whole USING (stage, topic, partition, "offset", topic_id)
LEFT JOIN LATERAL (  -- the digest is made only where there are tries of the key
    SELECT max(r.tries) AS tries FROM repair_tries r
    WHERE r.tenant_id = q.tenant_id AND r.message_key = q.record_key AND r.reason || '' = quarantine_tried(whole.stage, whole.value)
) AS t ON true
LEFT JOIN chat_messages m ON m.tenant_id = q.tenant_id AND m.message_key = q.record_key
ORDER BY q.created_at DESC, q.place DESC;

-- name: audit_page
-- Returns audit log entries of these tenants ($6) before an entry ($2), newest first. Actor, action,
-- and the first and last time ($7, $8) may be NULL for any. $1 is only there because every statement
-- names the tenant first.
SELECT one.id, one.at, one.actor, one.action, one.detail, one.tenant_id
FROM unnest($6::text[]) AS named (tenant_id), LATERAL (
    SELECT id, at, actor, action, detail, audit_log.tenant_id FROM audit_log
    WHERE audit_log.tenant_id = named.tenant_id AND id < $2 AND ($3::text IS NULL OR actor = $3) AND ($4::text IS NULL OR action = $4)
      AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
    ORDER BY id DESC LIMIT $5
) AS one
WHERE $1 <> '' ORDER BY one.id DESC LIMIT $5;

-- name: audit_choices
-- Returns the distinct actions and actors among the latest 2000 entries of each of these tenants.
-- They are proposed in the filters of the page, which take others too.
SELECT DISTINCT latest.action, latest.actor
FROM unnest($2::text[]) AS wanted (tenant_id)
CROSS JOIN LATERAL (
    SELECT action, actor FROM audit_log WHERE tenant_id = wanted.tenant_id AND $1 <> '' ORDER BY id DESC LIMIT 2000
) AS latest;

-- name: usage_by_day
-- Returns what a tenant spent on models by day and kind. The cost is NULL if the price of one of
-- the calls is unknown.
SELECT day, kind, sum(calls)::bigint AS calls,
       CASE WHEN count(cost_microusd) = count(*) THEN sum(cost_microusd)::bigint END AS cost_microusd
FROM ai_usage WHERE tenant_id = $1 AND day > current_date - $2::integer GROUP BY day, kind ORDER BY day, kind;

-- name: set_actor
-- Names the actor for audit log entries that this transaction writes.
SELECT set_config('sensorium.actor', $2, true) WHERE $1 <> '';
