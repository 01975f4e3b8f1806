-- name: count_failed
-- How many files of a tenant failed for a reason, of the oldest messages, by type and by whether they can be tried again.
-- With $5 those without a copy of ours count as gone: the provider said that it no longer has them.
SELECT m.tenant_id, attachment ->> 'type' AS type, count(DISTINCT m.message_key) AS messages, count(*) AS files,
       attachment ? 'url' OR attachment ? 'original_url' AS is_redoable, m.is_set_aside, $5 AND NOT attachment ? 'url' AS is_gone
FROM (
    SELECT m.tenant_id, m.message_key, m.content_attributes, coalesce(t.tries, 0) >= $4 AS is_set_aside
    FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
    WHERE m.tenant_id = $1 AND m.status = 'degraded' AND m.redoing_version IS NULL
      AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
    ORDER BY m.received_at, m.message_key LIMIT $3
) AS m
CROSS JOIN LATERAL jsonb_array_elements(m.content_attributes -> 'attachments') AS attachment
WHERE attachment ->> 'status' = 'failed' AND attachment ->> 'reason' = $2
GROUP BY m.tenant_id, 2, 5, 6, 7 ORDER BY m.tenant_id, 2, 5, 6, 7;

-- name: count_failed_everywhere
-- The same of all tenants.
SELECT m.tenant_id, attachment ->> 'type' AS type, count(DISTINCT m.message_key) AS messages, count(*) AS files,
       attachment ? 'url' OR attachment ? 'original_url' AS is_redoable, m.is_set_aside, $5 AND NOT attachment ? 'url' AS is_gone
FROM (
    SELECT m.tenant_id, m.message_key, m.content_attributes, coalesce(t.tries, 0) >= $4 AS is_set_aside
    FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
    WHERE $1 = '*' AND m.status = 'degraded' AND m.redoing_version IS NULL
      AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
    ORDER BY m.received_at, m.message_key LIMIT $3
) AS m
CROSS JOIN LATERAL jsonb_array_elements(m.content_attributes -> 'attachments') AS attachment
WHERE attachment ->> 'status' = 'failed' AND attachment ->> 'reason' = $2
GROUP BY m.tenant_id, 2, 5, 6, 7 ORDER BY m.tenant_id, 2, 5, 6, 7;


-- name: next_failed
-- The next messages of a repair at a tenant, oldest first: failed before it began, and not being redone.
-- With $7 only those with a copy of ours: the provider said that it no longer has the others.
SELECT m.tenant_id, m.message_key, m.received_at, coalesce(t.tries, 0) AS tries
FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
WHERE m.tenant_id = $1 AND m.status = 'degraded' AND m.redoing_version IS NULL AND m.enriched_at < $3
  AND (m.received_at, m.message_key) > ($4, $5)
  AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
  AND (NOT $7 OR EXISTS (SELECT FROM jsonb_array_elements(m.content_attributes -> 'attachments') a
                         WHERE a ->> 'status' = 'failed' AND a ->> 'reason' = $2 AND a ? 'url'))
ORDER BY m.received_at, m.message_key LIMIT $6;

-- name: next_failed_everywhere
-- The same of all tenants.
SELECT m.tenant_id, m.message_key, m.received_at, coalesce(t.tries, 0) AS tries
FROM chat_messages m LEFT JOIN repair_tries t ON t.tenant_id = m.tenant_id AND t.message_key = m.message_key AND t.reason = $2
WHERE $1 = '*' AND m.status = 'degraded' AND m.redoing_version IS NULL AND m.enriched_at < $3
  AND (m.received_at, m.message_key) > ($4, $5)
  AND m.content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('status', 'failed', 'reason', $2::text))
  AND (NOT $7 OR EXISTS (SELECT FROM jsonb_array_elements(m.content_attributes -> 'attachments') a
                         WHERE a ->> 'status' = 'failed' AND a ->> 'reason' = $2 AND a ? 'url'))
ORDER BY m.received_at, m.message_key LIMIT $6;


-- name: count_quarantined
-- How many records of a tenant are in quarantine, by cause, and what can become of them.
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
-- The same of all tenants.
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
-- The same of one place, which is tried however often it was.
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
-- The same of all tenants.
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
-- The next records in quarantine of a repair, oldest first.
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
-- The same of all tenants.
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
-- The same of one place.
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
-- The same of all tenants.
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
-- What a call of a kind cost on average in the last 30 days; null where a price is not known.
SELECT kind, CASE WHEN count(cost_microusd) = count(*) THEN sum(cost_microusd)::float8 / greatest(sum(calls), 1) END AS microusd
FROM ai_usage WHERE (tenant_id = $1 OR $1 = '*') AND day > current_date - 30 GROUP BY kind;

-- name: add_repair
-- A plan, to be applied within some time.
INSERT INTO repairs (tenant_id, repair_id, kind, choice, reason, state, person, messages, files, rate, ends_at)
VALUES ($1, $2, $3, $4::jsonb, $5, 'planned', $6, $7, $8::jsonb, $9, now() + make_interval(secs => $10));

-- name: repair
-- A repair of a tenant.
SELECT tenant_id, repair_id, kind, choice, reason, state, person, messages, files, rate, created_at, ends_at, began_at, ended_at, generation,
       looked, redone, set_aside, trouble, state = 'planned' AND ends_at <= now() AS is_over
FROM repairs WHERE tenant_id = $1 AND repair_id = $2;

-- name: repairs_of
-- The latest repairs of a tenant that were applied.
SELECT repair_id, kind, choice, reason, state, person, messages, created_at, ended_at, looked, redone, set_aside
FROM repairs WHERE tenant_id = $1 AND state <> 'planned' ORDER BY created_at DESC LIMIT 10;

-- name: lock_repairs
-- Whoever begins a repair waits for whoever is about to, at any tenant: of two, one is under way for the other.
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' repairs', 0)) WHERE $1 <> '';

-- name: under_way
-- The running repair that keeps this one from beginning: of the same kind and tenants; of raw records, one that shares some with it.
-- Those that arrived since a time are more at each asking: the same repair is then one of the same choice but for its spans.
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
-- Begins a plan that is not over; where a holder is named, in its hands.
UPDATE repairs SET state = 'running', began_at = now(), generation = $3, rate = coalesce($4, rate), holder = $5,
       held_until = CASE WHEN $5 <> '' THEN now() + make_interval(secs => $6) END
WHERE tenant_id = $1 AND repair_id = $2 AND state = 'planned' AND ends_at > now()
RETURNING tenant_id, repair_id, kind, choice, reason, messages;

-- name: cancel_repair
-- Ends a plan or what of it is left. A portion at hand is still settled. What has ended names no message any more: it may be erased.
UPDATE repairs SET state = 'cancelled', ended_at = now(), done_key = CASE WHEN intent IS NULL THEN '' ELSE done_key END
WHERE tenant_id = $1 AND repair_id = $2 AND state IN ('planned', 'running')
RETURNING tenant_id, repair_id, kind, choice, reason, messages;

-- name: hold_repair
-- Takes the repair that is under way, that nobody holds and that waits longest, for some time; or the one that is named.
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
-- The portion that its holder is about to write.
UPDATE repairs SET intent = $4::jsonb, held_until = now() + make_interval(secs => $6)
WHERE tenant_id = $1 AND repair_id = $2 AND holder = $3 AND state = 'running' AND portion = $5 AND intent IS NULL RETURNING portion;

-- name: settle
-- The portion was written: how far a repair is.
UPDATE repairs SET looked = looked + $5, redone = redone + $6, set_aside = set_aside + $7, done_at = $8, portion = $4,
       done_key = CASE WHEN state = 'running' THEN $9 ELSE '' END, intent = NULL, held_until = now() + make_interval(secs => $10), trouble = ''
WHERE tenant_id = $1 AND repair_id = $2 AND holder = $3 AND portion = $4 - 1
RETURNING looked, redone, set_aside, done_at, done_key, portion, state;

-- name: finish_repair
-- Nothing is left of it.
UPDATE repairs SET state = 'done', ended_at = now(), held_until = NULL, trouble = '', done_key = ''
WHERE tenant_id = $1 AND repair_id = $2 AND holder = $3 AND state = 'running' RETURNING repair_id;

-- name: let_go
-- Whoever held it stops: why, and for how long nobody should take it.
UPDATE repairs SET trouble = $4, held_until = now() + make_interval(secs => $5) WHERE tenant_id = $1 AND repair_id = $2 AND holder = $3;

-- name: note_tries
-- These are tried once more, as far as there is still something to try. The caller holds `removal_lock`.
INSERT INTO repair_tries (tenant_id, message_key, reason, tries)
SELECT DISTINCT tried.tenant, tried.key, tried.reason, 1 FROM unnest($1::text[], $2::text[], $3::text[]) AS tried (tenant, key, reason)
WHERE (EXISTS (SELECT FROM chat_messages m WHERE m.tenant_id = tried.tenant AND m.message_key = tried.key)
       OR EXISTS (SELECT FROM quarantined_messages q WHERE q.tenant_id = tried.tenant AND q.record_key = tried.key))
  AND NOT EXISTS (SELECT FROM tenants t WHERE t.tenant_id = tried.tenant AND t.removed_at IS NOT NULL AND NOT t.data_kept)
ORDER BY 1, 2, 3
ON CONFLICT (tenant_id, message_key, reason) DO UPDATE SET tries = repair_tries.tries + 1;

-- name: mark_replayed
-- These quarantined records were written to their topics again.
UPDATE quarantined_messages q SET state = 'replayed'
FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[]) AS done (stage, topic, partition, "offset", topic_id)
WHERE q.stage = done.stage AND q.topic = done.topic AND q.partition = done.partition AND q."offset" = done."offset"
  AND q.topic_id = done.topic_id;

-- name: failed_messages_of
-- Messages named by tenant and key, if they failed for the reason and no repair is redoing them, and where each arrived.
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
-- The latest repairs, of one tenant or of all.
SELECT tenant_id, repair_id, kind, choice, reason, state, person, messages, looked, redone, set_aside, rate, trouble, created_at,
       state = 'planned' AND ends_at <= now() AS is_over, state = 'running' AND held_until > now() AS is_held
FROM repairs WHERE $1::text IS NULL OR tenant_id IN ($1, '*') ORDER BY created_at DESC LIMIT $2;

-- name: repair_named
-- A repair by its id alone, for whoever runs commands.
SELECT tenant_id, repair_id, state FROM repairs WHERE repair_id = $1;

-- name: all_under_way
-- Repairs that write to the topics now, or whose last portion is not certain.
SELECT repair_id FROM repairs WHERE state = 'running' OR intent IS NOT NULL ORDER BY created_at;
