-- name: count_failed
-- How many messages and files failed for a reason, of the newest that failed; files by type, and those that have an address or a file.
SELECT attachment ->> 'type' AS type, count(DISTINCT m.message_key) AS messages, count(*) AS files,
       count(*) FILTER (WHERE attachment ? 'url' OR attachment ? 'original_url') AS redoable
FROM (
    SELECT message_key, content_attributes FROM chat_messages
    WHERE tenant_id = $1 AND status = 'degraded' AND redoing_version IS NULL
      AND content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
    ORDER BY received_at DESC LIMIT $3
) AS m
CROSS JOIN LATERAL jsonb_array_elements(m.content_attributes -> 'attachments') AS attachment
WHERE attachment ->> 'status' = 'failed' AND attachment ->> 'reason' = $2
GROUP BY 1 ORDER BY 1;

-- name: call_cost
-- What a call of a kind cost on average in the last 30 days; null where a price is not known.
SELECT kind, CASE WHEN count(cost_microusd) = count(*) THEN sum(cost_microusd)::float8 / greatest(sum(calls), 1) END AS microusd
FROM ai_usage WHERE tenant_id = $1 AND day > current_date - 30 GROUP BY kind;

-- name: add_repair
-- A plan, to be applied within some time.
INSERT INTO repairs (tenant_id, repair_id, reason, state, person, messages, files, ends_at)
VALUES ($1, $2, $3, 'planned', $4, $5, $6::jsonb, now() + make_interval(secs => $7));

-- name: repair
-- A repair of a tenant.
SELECT repair_id, reason, state, person, messages, files, created_at, ends_at, began_at, ended_at, generation, looked, redone, set_aside,
       trouble, state = 'planned' AND ends_at <= now() AS is_over
FROM repairs WHERE tenant_id = $1 AND repair_id = $2;

-- name: repairs_of
-- The latest repairs of a tenant that were applied.
SELECT repair_id, reason, state, person, messages, created_at, ended_at, looked, redone, set_aside
FROM repairs WHERE tenant_id = $1 AND state <> 'planned' ORDER BY created_at DESC LIMIT 10;

-- name: lock_repairs
-- Whoever begins a repair of a tenant waits for whoever is about to: of two, one is under way for the other.
SELECT repair_id FROM repairs WHERE tenant_id = $1 AND state IN ('planned', 'running') ORDER BY repair_id FOR UPDATE;

-- name: apply_repair
-- Begins a plan that is not over, unless the tenant has one under way.
UPDATE repairs SET state = 'running', began_at = now(), generation = $3
WHERE tenant_id = $1 AND repair_id = $2 AND state = 'planned' AND ends_at > now()
  AND NOT EXISTS (SELECT 1 FROM repairs other WHERE other.tenant_id = $1 AND other.state = 'running')
RETURNING repair_id;

-- name: cancel_repair
-- Ends a plan or what of it is left.
UPDATE repairs SET state = 'cancelled', ended_at = now()
WHERE tenant_id = $1 AND repair_id = $2 AND state IN ('planned', 'running') RETURNING repair_id;

-- name: hold_repair
-- Takes the running repair that nobody holds and that waits longest, for some time.
UPDATE repairs SET held_until = now() + make_interval(secs => $1)
WHERE (tenant_id, repair_id) = (
    SELECT tenant_id, repair_id FROM repairs WHERE state = 'running' AND (held_until IS NULL OR held_until < now())
    ORDER BY held_until NULLS FIRST, created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING tenant_id, repair_id, reason, generation, began_at, done_at, done_key;

-- name: next_failed
-- The next messages of a repair, oldest first: failed before it began, and not being redone.
SELECT m.message_key, m.received_at, coalesce(t.tries, 0) AS tries
FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
WHERE m.tenant_id = $1 AND m.status = 'degraded' AND m.redoing_version IS NULL AND m.enriched_at < $3
  AND (m.received_at, m.message_key) > ($4, $5)
  AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
ORDER BY m.received_at, m.message_key LIMIT $6;

-- name: note_tries
-- These messages are tried once more.
INSERT INTO repair_tries (tenant_id, message_key, reason, tries) SELECT $1, key, $2, 1 FROM unnest($3::text[]) AS keys (key) ORDER BY key
ON CONFLICT (tenant_id, message_key, reason) DO UPDATE SET tries = repair_tries.tries + 1;

-- name: move_repair
-- How far a repair is.
UPDATE repairs SET looked = looked + $3, redone = redone + $4, set_aside = set_aside + $5, done_at = $6, done_key = $7, held_until = NULL, trouble = ''
WHERE tenant_id = $1 AND repair_id = $2 AND state = 'running';

-- name: finish_repair
-- Nothing is left of it.
UPDATE repairs SET state = 'done', ended_at = now(), held_until = NULL, trouble = '' WHERE tenant_id = $1 AND repair_id = $2 AND state = 'running';

-- name: trouble_repair
-- Why it does not get on; it is tried again by itself.
UPDATE repairs SET trouble = $3, held_until = now() + interval '5 seconds' WHERE tenant_id = $1 AND repair_id = $2 AND state = 'running';

-- name: failed_messages_of
-- These messages, if they failed for the reason and no repair is redoing them, and where each arrived.
SELECT m.*, i.topic, i.partition, i."offset"
FROM chat_messages m
LEFT JOIN LATERAL (
    SELECT a.topic, a.partition, a."offset" FROM arrivals a WHERE a.tenant_id = m.tenant_id AND a.provider = m.provider
        AND a.provider_message_id = substr(m.message_key, length(m.tenant_id) + length(m.provider) + 3) OFFSET 0
) AS i ON true
WHERE m.tenant_id = $1 AND m.message_key = ANY($2::text[]) AND m.status = 'degraded' AND m.redoing_version IS NULL
  AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $3::text))
ORDER BY m.received_at, m.message_key;
