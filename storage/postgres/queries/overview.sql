-- What the commands `usage`, `log`, `attachments` and `trace` show. Used by
-- streams/commands/overview.py and trace.py, and by storage/postgres/repairs.py.

-- name: usage
-- Returns calls, tokens and cost of models by tenant and by day or model ($2). The cost is NULL if
-- the price of one of the calls is unknown.
SELECT u.tenant_id,
       CASE WHEN $2::text = 'day' THEN u.day::text ELSE u.model END AS by,
       u.kind,
       sum(u.calls)::bigint AS calls,
       sum(u.input_tokens)::bigint AS input_tokens,
       sum(u.output_tokens)::bigint AS output_tokens,
       CASE WHEN count(u.cost_microusd) = count(*) THEN sum(u.cost_microusd)::bigint END AS cost_microusd
FROM ai_usage u
WHERE ($1::text IS NULL OR u.tenant_id = $1) AND ($3::date IS NULL OR u.day >= $3)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;

-- name: audit_log
-- Returns who changed what, newest first, of one tenant ($1, NULL for all) and since a time ($2,
-- NULL for any).
SELECT at, tenant_id, actor, action, detail
FROM audit_log
WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::timestamptz IS NULL OR at >= $2)
ORDER BY at DESC, id DESC
LIMIT $3;

-- name: attachments
-- Returns attachments with a status, newest message first, each with the latest note about its job.
-- Reason, tenant and time may be NULL for no restriction.
WITH found AS (
SELECT m.tenant_id, m.message_key, m.received_at, m.version, attachment, (attachment ->> 'index')::integer AS index
FROM chat_messages m
CROSS JOIN LATERAL jsonb_array_elements(m.content_attributes -> 'attachments') AS attachment
WHERE m.content_attributes ? 'attachments'
  AND (m.content_attributes -> 'attachments') @> jsonb_build_array(jsonb_build_object('status', $1::text))
  AND attachment ->> 'status' = $1
  AND ($2::text IS NULL OR attachment ->> 'reason' = $2)
  AND ($3::text IS NULL OR m.tenant_id = $3)
  AND ($4::timestamptz IS NULL OR m.received_at >= $4)
ORDER BY m.received_at DESC, m.message_key, index
LIMIT $5
)
SELECT found.*, last.stage, last.attempts, last.cause, last.detail, last.last_at, last.next_at
FROM found
LEFT JOIN LATERAL (
    SELECT j.stage, j.attempts, j.cause, j.detail, j.last_at, j.next_at FROM job_attempts j
    WHERE j.tenant_id = found.tenant_id AND j.message_key = found.message_key AND j.attachment_index = found.index
    ORDER BY j.last_at DESC LIMIT 1
) AS last ON true
ORDER BY found.received_at DESC, found.message_key, found.index;

-- name: paid_for
-- Returns what the recorded answers about the files of these messages cost. `unpriced` counts
-- answers without a known price.
SELECT count(*) AS answers, count(*) FILTER (WHERE r.cost_microusd IS NULL) AS unpriced, coalesce(sum(r.cost_microusd), 0)::bigint AS microusd
FROM (SELECT DISTINCT o.tenant_id, o.sha256 FROM unnest($1::text[], $2::text[]) AS asked (tenant_id, message_key)
      JOIN media_objects o USING (tenant_id, message_key)) AS files
JOIN ai_results r USING (tenant_id, sha256) WHERE NOT r.refused;

-- name: redoing
-- Returns the version with which a running repair redoes a finished message, NULL if there is none.
SELECT redoing_version FROM chat_messages WHERE tenant_id = $1 AND message_key = $2;
