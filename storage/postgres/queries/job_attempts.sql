-- Notes on why jobs wait or failed, for people only; no promise depends on them
-- (docs/decisions/0019). Written by storage/postgres/job_attempts.py, read by `sensorium queue` and
-- `sensorium trace`.

-- name: note
-- Records why jobs wait, or why they finally failed (`next_at` NULL). A newer generation replaces
-- an older one's note. Skips messages that were erased and tenants that were removed together with
-- their data.
INSERT INTO job_attempts AS there
    (tenant_id, message_key, attachment_index, stage, generation, attempts, cause, detail, first_at, last_at, next_at)
SELECT tenant_id, message_key, attachment_index, stage, generation, attempts, cause, detail, first_at, last_at, next_at
FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::bigint[], $6::integer[], $7::text[], $8::text[],
            $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::bytea[]) WITH ORDINALITY
     AS noted (tenant_id, message_key, attachment_index, stage, generation, attempts, cause, detail, first_at, last_at, next_at, key_digest, nth)
WHERE NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = noted.tenant_id AND t.removed_at IS NOT NULL AND NOT t.data_kept)
  AND NOT EXISTS (SELECT 1 FROM erased_messages e WHERE e.tenant_id = noted.tenant_id AND e.key_digest = noted.key_digest)
ORDER BY noted.nth
ON CONFLICT (tenant_id, message_key, attachment_index, stage) DO UPDATE SET
    generation = EXCLUDED.generation, attempts = EXCLUDED.attempts, cause = EXCLUDED.cause, detail = EXCLUDED.detail,
    first_at = EXCLUDED.first_at, last_at = EXCLUDED.last_at, next_at = EXCLUDED.next_at
WHERE there.generation <= EXCLUDED.generation;

-- name: forget
-- Deletes the notes of jobs that succeeded.
WITH ended AS (
    SELECT tenant_id, message_key, attachment_index, stage
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::bigint[]) WITH ORDINALITY
        AS one (tenant_id, message_key, attachment_index, stage, upto, nth)
    JOIN job_attempts AS there USING (tenant_id, message_key, attachment_index, stage)
    WHERE there.generation <= one.upto ORDER BY one.nth FOR UPDATE OF there
)
DELETE FROM job_attempts AS there USING ended
WHERE there.tenant_id = ended.tenant_id AND there.message_key = ended.message_key
  AND there.attachment_index = ended.attachment_index AND there.stage = ended.stage;

-- name: forget_old
-- Deletes notes on failures older than 30 days, and on jobs whose planned try is more than a day
-- overdue.
DELETE FROM job_attempts WHERE last_at < now() - interval '30 days' OR next_at < now() - interval '1 day';

-- name: of_message
-- Returns why jobs of a message wait or failed.
SELECT stage, attachment_index, generation, attempts, cause, detail, first_at, last_at, next_at
FROM job_attempts WHERE tenant_id = $1 AND message_key = $2 ORDER BY attachment_index, first_at;

-- name: waiting
-- Returns why jobs wait now, grouped by tenant ($1 NULL: all), stage and cause: how many were
-- tried, since when, and when the next try is due. Ignores notes whose next try is over 10 minutes
-- overdue, because that job has ended or its stage is down.
SELECT tenant_id, stage, cause, count(*) AS jobs, min(first_at) AS since, min(next_at) AS next_at,
       (array_agg(detail ORDER BY last_at DESC))[1] AS detail
FROM job_attempts
WHERE next_at IS NOT NULL AND next_at > now() - interval '10 minutes' AND ($1::text IS NULL OR tenant_id = $1)
GROUP BY tenant_id, stage, cause ORDER BY count(*) DESC, tenant_id, stage LIMIT 1000;
