-- Repairs as plans: counting, applying in portions, and their state (docs/decisions/0036). Used by
-- storage/postgres/repairs.py and streams/repair/. Statements ending in `_everywhere` serve repairs
-- of all tenants, whose tenant id is '*'.

-- name: count_failed
-- Counts the files of a tenant's oldest degraded messages that failed for a reason, by type, by
-- whether they can be redone, and by whether they were tried too often ($4) and are set aside. With
-- a limit ($6, 0 for none) it ends with the last message that a repair of so many messages tries.
WITH last_tried AS MATERIALIZED (
    SELECT m.received_at, m.message_key
    FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
    WHERE $6::integer > 0 AND m.tenant_id = $1 AND m.status = 'degraded' AND m.redoing_version IS NULL AND coalesce(t.tries, 0) < $4
      AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
      AND EXISTS (SELECT FROM jsonb_array_elements(m.content_attributes -> 'attachments') a
                  WHERE a ->> 'status' = 'failed' AND a ->> 'reason' = $2 AND (a ? 'url' OR a ? 'original_url' AND NOT $5))
    ORDER BY m.received_at, m.message_key OFFSET greatest($6::integer - 1, 0) LIMIT 1
)
SELECT m.tenant_id, attachment ->> 'type' AS type, count(DISTINCT m.message_key) AS messages, count(*) AS files,
       attachment ? 'url' OR attachment ? 'original_url' AS is_redoable, m.is_set_aside, $5 AND NOT attachment ? 'url' AS is_gone
FROM (
    SELECT m.tenant_id, m.message_key, m.content_attributes, coalesce(t.tries, 0) >= $4 AS is_set_aside
    FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
    WHERE m.tenant_id = $1 AND m.status = 'degraded' AND m.redoing_version IS NULL
      AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
      AND (m.received_at, m.message_key) <= (coalesce((SELECT received_at FROM last_tried), 'infinity'),
                                             coalesce((SELECT message_key FROM last_tried), ''))
    ORDER BY m.received_at, m.message_key LIMIT $3
) AS m
CROSS JOIN LATERAL jsonb_array_elements(m.content_attributes -> 'attachments') AS attachment
WHERE attachment ->> 'status' = 'failed' AND attachment ->> 'reason' = $2
GROUP BY m.tenant_id, 2, 5, 6, 7 ORDER BY m.tenant_id, 2, 5, 6, 7;

-- name: count_failed_everywhere
-- Counts the same as `count_failed` over all tenants.
WITH last_tried AS MATERIALIZED (
    SELECT m.received_at, m.message_key
    FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
    WHERE $6::integer > 0 AND $1 = '*' AND m.status = 'degraded' AND m.redoing_version IS NULL AND coalesce(t.tries, 0) < $4
      AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
      AND EXISTS (SELECT FROM jsonb_array_elements(m.content_attributes -> 'attachments') a
                  WHERE a ->> 'status' = 'failed' AND a ->> 'reason' = $2 AND (a ? 'url' OR a ? 'original_url' AND NOT $5))
    ORDER BY m.received_at, m.message_key OFFSET greatest($6::integer - 1, 0) LIMIT 1
)
SELECT m.tenant_id, attachment ->> 'type' AS type, count(DISTINCT m.message_key) AS messages, count(*) AS files,
       attachment ? 'url' OR attachment ? 'original_url' AS is_redoable, m.is_set_aside, $5 AND NOT attachment ? 'url' AS is_gone
FROM (
    SELECT m.tenant_id, m.message_key, m.content_attributes, coalesce(t.tries, 0) >= $4 AS is_set_aside
    FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
    WHERE $1 = '*' AND m.status = 'degraded' AND m.redoing_version IS NULL
      AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
      AND (m.received_at, m.message_key) <= (coalesce((SELECT received_at FROM last_tried), 'infinity'),
                                             coalesce((SELECT message_key FROM last_tried), ''))
    ORDER BY m.received_at, m.message_key LIMIT $3
) AS m
CROSS JOIN LATERAL jsonb_array_elements(m.content_attributes -> 'attachments') AS attachment
WHERE attachment ->> 'status' = 'failed' AND attachment ->> 'reason' = $2
GROUP BY m.tenant_id, 2, 5, 6, 7 ORDER BY m.tenant_id, 2, 5, 6, 7;


-- name: next_failed
-- Returns a repair's next messages at a tenant, oldest first: those that failed before the repair
-- began ($3), that no repair is redoing, and that have a file or an address to try.
SELECT m.tenant_id, m.message_key, m.received_at, coalesce(t.tries, 0) AS tries
FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
WHERE m.tenant_id = $1 AND m.status = 'degraded' AND m.redoing_version IS NULL AND m.enriched_at < $3
  AND (m.received_at, m.message_key) > ($4, $5)
  AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
  AND EXISTS (SELECT FROM jsonb_array_elements(m.content_attributes -> 'attachments') a
              WHERE a ->> 'status' = 'failed' AND a ->> 'reason' = $2 AND (a ? 'url' OR a ? 'original_url' AND NOT $7))
ORDER BY m.received_at, m.message_key LIMIT $6;

-- name: next_failed_everywhere
-- Returns the same as `next_failed` over all tenants.
SELECT m.tenant_id, m.message_key, m.received_at, coalesce(t.tries, 0) AS tries
FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
WHERE $1 = '*' AND m.status = 'degraded' AND m.redoing_version IS NULL AND m.enriched_at < $3
  AND (m.received_at, m.message_key) > ($4, $5)
  AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
  AND EXISTS (SELECT FROM jsonb_array_elements(m.content_attributes -> 'attachments') a
              WHERE a ->> 'status' = 'failed' AND a ->> 'reason' = $2 AND (a ? 'url' OR a ? 'original_url' AND NOT $7))
ORDER BY m.received_at, m.message_key LIMIT $6;


-- name: count_quarantined
-- Counts a tenant's quarantined records by stage and reason, and by what a repair can do: `again`
-- (send to its topic again), `set_aside` (tried too often), `job` (repair the files of its message
-- instead) or `refused` (it cannot be sent again).
SELECT m.tenant_id, m.stage, m.reason,
       CASE WHEN (m.stage, m.topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages')) THEN
                CASE WHEN coalesce(t.tries, 0) >= $4 THEN 'set_aside' ELSE 'again' END
            WHEN m.stage IN ('dedupe', 'assemble', 'sink') THEN 'refused' ELSE 'job' END AS becomes,
       count(*) AS records, max(m.created_at) AS last_at, min(m.topic || '[' || m.partition || ']@' || m."offset") AS place
FROM quarantined_messages m
LEFT JOIN LATERAL (  -- the digest is made only where there are tries of the key
    SELECT max(r.tries) AS tries FROM repair_tries r
    WHERE r.tenant_id = m.tenant_id AND r.message_key = m.record_key AND r.reason || '' = quarantine_tried(m.stage, m.value)
) AS t ON true
WHERE m.tenant_id = $1 AND m.state = 'new' AND ($2::text IS NULL OR m.stage = $2) AND ($3::text IS NULL OR m.reason = $3)
  AND m.value IS NOT NULL
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- name: count_quarantined_everywhere
-- Counts the same as `count_quarantined` over all tenants.
SELECT m.tenant_id, m.stage, m.reason,
       CASE WHEN (m.stage, m.topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages')) THEN
                CASE WHEN coalesce(t.tries, 0) >= $4 THEN 'set_aside' ELSE 'again' END
            WHEN m.stage IN ('dedupe', 'assemble', 'sink') THEN 'refused' ELSE 'job' END AS becomes,
       count(*) AS records, max(m.created_at) AS last_at, min(m.topic || '[' || m.partition || ']@' || m."offset") AS place
FROM quarantined_messages m
LEFT JOIN LATERAL (  -- the digest is made only where there are tries of the key
    SELECT max(r.tries) AS tries FROM repair_tries r
    WHERE r.tenant_id = m.tenant_id AND r.message_key = m.record_key AND r.reason || '' = quarantine_tried(m.stage, m.value)
) AS t ON true
WHERE $1 = '*' AND m.state = 'new' AND ($2::text IS NULL OR m.stage = $2) AND ($3::text IS NULL OR m.reason = $3)
  AND m.value IS NOT NULL
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- name: count_quarantined_at
-- Counts the same as `count_quarantined` for the record at one position, which is never set aside.
-- A NULL topic id ($5) accepts any.
SELECT m.tenant_id, m.stage, m.reason,
       CASE WHEN (m.stage, m.topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages')) THEN
                CASE WHEN false THEN 'set_aside' ELSE 'again' END
            WHEN m.stage IN ('dedupe', 'assemble', 'sink') THEN 'refused' ELSE 'job' END AS becomes,
       count(*) AS records, max(m.created_at) AS last_at, min(m.topic || '[' || m.partition || ']@' || m."offset") AS place
FROM quarantined_messages m
WHERE m.tenant_id = $1 AND m.topic = $2 AND m.partition = $3 AND m."offset" = $4 AND ($5::text IS NULL OR m.topic_id = $5)
  AND (m.value IS NOT NULL OR m.state <> 'dismissed')
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- name: count_quarantined_at_everywhere
-- Counts the same as `count_quarantined_at` over all tenants.
SELECT m.tenant_id, m.stage, m.reason,
       CASE WHEN (m.stage, m.topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages')) THEN
                CASE WHEN false THEN 'set_aside' ELSE 'again' END
            WHEN m.stage IN ('dedupe', 'assemble', 'sink') THEN 'refused' ELSE 'job' END AS becomes,
       count(*) AS records, max(m.created_at) AS last_at, min(m.topic || '[' || m.partition || ']@' || m."offset") AS place
FROM quarantined_messages m
WHERE $1 = '*' AND m.topic = $2 AND m.partition = $3 AND m."offset" = $4 AND ($5::text IS NULL OR m.topic_id = $5)
  AND (m.value IS NOT NULL OR m.state <> 'dismissed')
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- name: next_quarantined
-- Returns a repair's next quarantined records, oldest first, that were quarantined before it began
-- ($4) and can be sent to their topic again. Also returns their size and how often they were tried.
SELECT c.*, quarantine_tried(c.stage, q.value) AS tried, coalesce(octet_length(q.value), 0) AS bytes, coalesce(t.tries, 0) AS tries
FROM (
    SELECT m.tenant_id, m.stage, m.topic, m.partition, m."offset", m.topic_id, m.record_key, m.created_at,
           quarantine_order(m.stage, m.topic, m.partition, m."offset", m.topic_id) COLLATE "C" AS place
    FROM quarantined_messages m
    WHERE m.tenant_id = $1 AND m.state = 'new' AND ($2::text IS NULL OR m.stage = $2) AND ($3::text IS NULL OR m.reason = $3)
  AND m.value IS NOT NULL
      AND (m.stage, m.topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages'))
      AND m.created_at <= $4
      AND (m.created_at, quarantine_order(m.stage, m.topic, m.partition, m."offset", m.topic_id) COLLATE "C") > ($5, $6 COLLATE "C")
    ORDER BY m.created_at, place LIMIT $7
) AS c
JOIN quarantined_messages q USING (stage, topic, partition, "offset", topic_id)
LEFT JOIN LATERAL (  -- the digest is made only where there are tries of the key
    SELECT max(r.tries) AS tries FROM repair_tries r
    WHERE r.tenant_id = q.tenant_id AND r.message_key = q.record_key AND r.reason || '' = quarantine_tried(q.stage, q.value)
) AS t ON true
ORDER BY c.created_at, c.place;

-- name: next_quarantined_everywhere
-- Returns the same as `next_quarantined` over all tenants.
SELECT c.*, quarantine_tried(c.stage, q.value) AS tried, coalesce(octet_length(q.value), 0) AS bytes, coalesce(t.tries, 0) AS tries
FROM (
    SELECT m.tenant_id, m.stage, m.topic, m.partition, m."offset", m.topic_id, m.record_key, m.created_at,
           quarantine_order(m.stage, m.topic, m.partition, m."offset", m.topic_id) COLLATE "C" AS place
    FROM quarantined_messages m
    WHERE $1 = '*' AND m.state = 'new' AND ($2::text IS NULL OR m.stage = $2) AND ($3::text IS NULL OR m.reason = $3)
  AND m.value IS NOT NULL
      AND (m.stage, m.topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages'))
      AND m.created_at <= $4
      AND (m.created_at, quarantine_order(m.stage, m.topic, m.partition, m."offset", m.topic_id) COLLATE "C") > ($5, $6 COLLATE "C")
    ORDER BY m.created_at, place LIMIT $7
) AS c
JOIN quarantined_messages q USING (stage, topic, partition, "offset", topic_id)
LEFT JOIN LATERAL (  -- the digest is made only where there are tries of the key
    SELECT max(r.tries) AS tries FROM repair_tries r
    WHERE r.tenant_id = q.tenant_id AND r.message_key = q.record_key AND r.reason || '' = quarantine_tried(q.stage, q.value)
) AS t ON true
ORDER BY c.created_at, c.place;

-- name: next_quarantined_at
-- Returns the same as `next_quarantined` for the record at one position, whose earlier tries do not
-- count.
SELECT c.*, quarantine_tried(c.stage, q.value) AS tried, coalesce(octet_length(q.value), 0) AS bytes, 0 AS tries
FROM (
    SELECT m.tenant_id, m.stage, m.topic, m.partition, m."offset", m.topic_id, m.record_key, m.created_at,
           quarantine_order(m.stage, m.topic, m.partition, m."offset", m.topic_id) COLLATE "C" AS place
    FROM quarantined_messages m
    WHERE m.tenant_id = $1 AND m.topic = $2 AND m.partition = $3 AND m."offset" = $4 AND ($5::text IS NULL OR m.topic_id = $5)
  AND (m.value IS NOT NULL OR m.state <> 'dismissed')
      AND (m.stage, m.topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages'))
      AND m.created_at <= $6
      AND (m.created_at, quarantine_order(m.stage, m.topic, m.partition, m."offset", m.topic_id) COLLATE "C") > ($7, $8 COLLATE "C")
    ORDER BY m.created_at, place LIMIT $9
) AS c
JOIN quarantined_messages q USING (stage, topic, partition, "offset", topic_id)
ORDER BY c.created_at, c.place;

-- name: next_quarantined_at_everywhere
-- Returns the same as `next_quarantined_at` over all tenants.
SELECT c.*, quarantine_tried(c.stage, q.value) AS tried, coalesce(octet_length(q.value), 0) AS bytes, 0 AS tries
FROM (
    SELECT m.tenant_id, m.stage, m.topic, m.partition, m."offset", m.topic_id, m.record_key, m.created_at,
           quarantine_order(m.stage, m.topic, m.partition, m."offset", m.topic_id) COLLATE "C" AS place
    FROM quarantined_messages m
    WHERE $1 = '*' AND m.topic = $2 AND m.partition = $3 AND m."offset" = $4 AND ($5::text IS NULL OR m.topic_id = $5)
  AND (m.value IS NOT NULL OR m.state <> 'dismissed')
      AND (m.stage, m.topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages'))
      AND m.created_at <= $6
      AND (m.created_at, quarantine_order(m.stage, m.topic, m.partition, m."offset", m.topic_id) COLLATE "C") > ($7, $8 COLLATE "C")
    ORDER BY m.created_at, place LIMIT $9
) AS c
JOIN quarantined_messages q USING (stage, topic, partition, "offset", topic_id)
ORDER BY c.created_at, c.place;

-- name: call_cost
-- Returns the average cost of a model call over the last 30 days by kind, NULL if the price of one
-- of the calls is unknown.
SELECT kind, CASE WHEN count(cost_microusd) = count(*) THEN sum(cost_microusd)::float8 / greatest(sum(calls), 1) END AS microusd
FROM ai_usage WHERE (tenant_id = $1 OR $1 = '*') AND day > current_date - 30 GROUP BY kind;

-- name: add_repair
-- Adds a plan that can be applied for $10 seconds.
INSERT INTO repairs (tenant_id, repair_id, kind, choice, reason, state, person, messages, files, rate, ends_at)
VALUES ($1, $2, $3, $4::jsonb, $5, 'planned', $6, $7, $8::jsonb, $9, now() + make_interval(secs => $10))
RETURNING tenant_id, repair_id, kind, choice, reason, messages;

-- name: repair
-- Returns one repair. `is_over` is true for a plan that can no longer be applied.
SELECT tenant_id, repair_id, kind, choice, reason, state, person, messages, files, rate, created_at, ends_at, began_at, ended_at, generation,
       looked, redone, set_aside, trouble, state = 'planned' AND ends_at <= now() AS is_over
FROM repairs WHERE tenant_id = $1 AND repair_id = $2;

-- name: repairs_of
-- Returns the latest 10 repairs of a tenant that were applied or cancelled.
SELECT repair_id, kind, choice, reason, state, person, messages, created_at, ended_at, looked, redone, set_aside
FROM repairs WHERE tenant_id = $1 AND state <> 'planned' ORDER BY created_at DESC LIMIT 10;

-- name: lock_repairs
-- Takes the lock, held until the transaction ends, under which every repair begins. Of two repairs
-- that begin at once, the second therefore sees the first as running.
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' repairs', 0)) WHERE $1 <> '';

-- name: under_way
-- Returns the running repair that prevents this one from beginning: one of the same kind for the
-- same tenant or all tenants; for raw records, one with the same choice or with overlapping
-- offsets. `is_same` is true if it is the same repair asked for again. A choice by time (`since`)
-- covers more offsets each time, so its spans are not compared.
SELECT other.tenant_id, other.repair_id, other.held_until IS NULL OR other.held_until < now() AS is_free,
       other.tenant_id = mine.tenant_id AND other.reason = mine.reason AND other.choice - 'spans' = mine.choice - 'spans'
           AND (mine.choice ? 'since' OR other.choice = mine.choice) AS is_same
FROM repairs mine JOIN repairs other ON other.state = 'running' AND other.repair_id <> mine.repair_id AND other.kind = mine.kind
  AND (other.tenant_id = mine.tenant_id OR '*' IN (other.tenant_id, mine.tenant_id))
  AND (mine.kind <> 'raw' OR other.choice = mine.choice OR EXISTS (
      SELECT FROM jsonb_array_elements_text(mine.choice -> 'spans') a, jsonb_array_elements_text(other.choice -> 'spans') b
      WHERE split_part(a, ':', 1) = split_part(b, ':', 1)
        AND int8range(split_part(split_part(a, ':', 2), '-', 1)::bigint, split_part(a, '-', 2)::bigint, '[]')
         && int8range(split_part(split_part(b, ':', 2), '-', 1)::bigint, split_part(b, '-', 2)::bigint, '[]')))
WHERE mine.tenant_id = $1 AND mine.repair_id = $2 ORDER BY is_same DESC LIMIT 1;

-- name: apply_repair
-- Starts a plan that has not expired. A holder ($5), if named, owns the repair for $6 seconds.
UPDATE repairs SET state = 'running', began_at = now(), generation = $3, rate = coalesce($4, rate), holder = $5,
       held_until = CASE WHEN $5 <> '' THEN now() + make_interval(secs => $6) END
WHERE tenant_id = $1 AND repair_id = $2 AND state = 'planned' AND ends_at > now()
RETURNING tenant_id, repair_id, kind, choice, reason, messages;

-- name: cancel_repair
-- Cancels a plan, or the rest of a running repair. A portion that is being written is still
-- settled. Without such a portion the last key is cleared, so that an ended repair names no
-- message, which may have been erased.
UPDATE repairs SET state = 'cancelled', ended_at = now(), done_key = CASE WHEN intent IS NULL THEN '' ELSE done_key END
WHERE tenant_id = $1 AND repair_id = $2 AND state IN ('planned', 'running')
RETURNING tenant_id, repair_id, kind, choice, reason, messages;

-- name: hold_repair
-- Takes the repair that has waited longest of those that run, or have an unsettled portion, and
-- that no other process holds. With $3 it takes or keeps only that repair. SKIP LOCKED lets several
-- processes ask at once without waiting.
UPDATE repairs SET held_until = now() + make_interval(secs => $1), holder = $2
WHERE (tenant_id, repair_id) = (
    SELECT tenant_id, repair_id FROM repairs
    WHERE (state = 'running' OR intent IS NOT NULL) AND (held_until IS NULL OR held_until < now() OR ($3 = repair_id AND holder = $2))
      AND ($3::text IS NULL OR repair_id = $3)
    ORDER BY held_until NULLS FIRST, created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING tenant_id, repair_id, kind, choice, reason, generation, rate, messages, began_at, done_at, done_key, portion, intent, looked, redone,
          set_aside, state, holder;

-- name: intend
-- Records the portion that the holder is about to write. Returns no row if the repair was
-- cancelled, has another holder, or still has an unsettled portion.
UPDATE repairs SET intent = $4::jsonb, held_until = now() + make_interval(secs => $6)
WHERE tenant_id = $1 AND repair_id = $2 AND holder = $3 AND state = 'running' AND portion = $5 AND intent IS NULL RETURNING portion;

-- name: settle
-- Records that the portion was written, and how far the repair has come. Returns no row if another
-- holder has settled it already.
UPDATE repairs SET looked = looked + $5, redone = redone + $6, set_aside = set_aside + $7, done_at = $8, portion = $4,
       done_key = CASE WHEN state = 'running' THEN $9 ELSE '' END, intent = NULL, held_until = now() + make_interval(secs => $10), trouble = ''
WHERE tenant_id = $1 AND repair_id = $2 AND holder = $3 AND portion = $4 - 1
RETURNING looked, redone, set_aside, done_at, done_key, portion, state;

-- name: finish_repair
-- Marks a repair as done, because nothing is left to do.
UPDATE repairs SET state = 'done', ended_at = now(), held_until = NULL, trouble = '', done_key = ''
WHERE tenant_id = $1 AND repair_id = $2 AND holder = $3 AND state = 'running' RETURNING repair_id;

-- name: let_go
-- Releases a repair with the reason ($4). No process takes it again for $5 seconds.
UPDATE repairs SET trouble = $4, held_until = now() + make_interval(secs => $5) WHERE tenant_id = $1 AND repair_id = $2 AND holder = $3;

-- name: note_tries
-- Counts one more try of these messages or records, unless they no longer exist or their tenant was
-- removed. The caller holds `removal_lock`, and gives each key once.
INSERT INTO repair_tries (tenant_id, message_key, reason, tries)
SELECT tried.tenant, tried.key, tried.reason, 1
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS tried (tenant, key, reason, nth)
WHERE (EXISTS (SELECT FROM chat_messages m WHERE m.tenant_id = tried.tenant AND m.message_key = tried.key)
       OR EXISTS (SELECT FROM quarantined_messages q WHERE q.tenant_id = tried.tenant AND q.record_key = tried.key))
  AND NOT EXISTS (SELECT FROM tenants t WHERE t.tenant_id = tried.tenant AND t.removed_at IS NOT NULL AND NOT t.data_kept)
ORDER BY tried.nth
ON CONFLICT (tenant_id, message_key, reason) DO UPDATE SET tries = repair_tries.tries + 1;

-- name: mark_replayed
-- Marks these quarantined records as replayed.
WITH done AS (
    SELECT stage, topic, partition, "offset", topic_id
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[]) WITH ORDINALITY
        AS one (stage, topic, partition, "offset", topic_id, nth)
    JOIN quarantined_messages AS there USING (stage, topic, partition, "offset", topic_id)
    ORDER BY one.nth FOR UPDATE OF there
)
UPDATE quarantined_messages q SET state = 'replayed' FROM done
WHERE q.stage = done.stage AND q.topic = done.topic AND q.partition = done.partition AND q."offset" = done."offset"
  AND q.topic_id = done.topic_id;

-- name: failed_messages_of
-- Returns those of these messages that failed for the reason and that no repair is redoing, with
-- the position of their first delivery.
SELECT m.*, i.topic, i.partition, i."offset"
FROM unnest($1::text[], $2::text[]) AS named (tenant_id, message_key)
JOIN chat_messages m ON m.tenant_id = named.tenant_id AND m.message_key = named.message_key
LEFT JOIN LATERAL (
    SELECT a.topic, a.partition, a."offset" FROM arrivals a WHERE a.tenant_id = m.tenant_id AND a.provider = m.provider
        AND a.provider_message_id = substr(m.message_key, length(m.tenant_id) + length(m.provider) + 3) OFFSET 0
) AS i ON true
WHERE m.status = 'degraded' AND m.redoing_version IS NULL
  AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $3::text))
ORDER BY m.received_at, m.message_key;

-- name: some_repairs
-- Returns the latest repairs, of one tenant and of all tenants ('*'), or every repair ($1 NULL).
SELECT tenant_id, repair_id, kind, choice, reason, state, person, messages, looked, redone, set_aside, rate, trouble, created_at,
       state = 'planned' AND ends_at <= now() AS is_over, state = 'running' AND held_until > now() AS is_held
FROM repairs WHERE $1::text IS NULL OR tenant_id IN ($1, '*') ORDER BY created_at DESC LIMIT $2;

-- name: repair_named
-- Returns a repair by its id alone. For commands, whose user may see every tenant.
SELECT tenant_id, repair_id, state FROM repairs WHERE repair_id = $1;

-- name: all_under_way
-- Returns repairs that are writing to the topics, or whose last portion may or may not have been
-- written.
SELECT repair_id FROM repairs WHERE state = 'running' OR intent IS NOT NULL ORDER BY created_at;
