-- name: volume_by_hour
-- Messages of a tenant in the last 24 hours, by the hour; at most the newest $2 are counted.
SELECT date_trunc('hour', received_at) AS hour, count(*) AS messages FROM (
    SELECT received_at FROM chat_messages WHERE tenant_id = $1 AND received_at > now() - interval '24 hours'
    ORDER BY received_at DESC, message_key DESC LIMIT $2
) AS newest GROUP BY 1 ORDER BY 1;

-- name: unfinished
-- Messages of a tenant that are not finished, at most $2 of them, and since when the oldest waits.
SELECT count(*) AS messages, min(received_at) AS oldest_at FROM (
    SELECT received_at FROM chat_messages WHERE tenant_id = $1 AND status = 'pending' ORDER BY received_at LIMIT $2
) AS oldest;

-- name: why_jobs_wait
-- What makes jobs of a tenant wait, by stage and cause, most first.
SELECT stage, cause, count(*) AS jobs, min(first_at) AS since, min(next_at) AS next_at FROM job_attempts
WHERE tenant_id = $1 AND next_at > now() - interval '10 minutes' GROUP BY stage, cause ORDER BY 3 DESC, 1, 2 LIMIT 20;

-- name: top_reasons
-- Why the newest files failed, most first.
SELECT attachment ->> 'reason' AS reason, count(*) AS files
FROM (
    SELECT content_attributes FROM chat_messages WHERE tenant_id = $1 AND status = 'degraded' ORDER BY received_at DESC LIMIT $2
) AS m
CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(m.content_attributes -> 'attachments') = 'array'
    THEN m.content_attributes -> 'attachments' ELSE '[]' END) AS attachment
WHERE attachment ->> 'status' = 'failed' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $3;

-- name: spend_by_day
-- What a tenant spent on models, by day; null where the price of a call is not known.
SELECT day, sum(calls)::bigint AS calls, CASE WHEN count(cost_microusd) = count(*) THEN sum(cost_microusd)::bigint END AS cost_microusd
FROM ai_usage WHERE tenant_id = $1 AND day > current_date - $2::integer GROUP BY day ORDER BY day DESC;

-- name: deliveries_of
-- What became of the deliveries to an endpoint, or to all of a tenant, in the last days, latest first; the days of one reason are one row.
SELECT reason, secret_id, sum(deliveries)::bigint AS deliveries, min(first_at) AS first_at, max(last_at) AS last_at,
       (array_agg(last_status ORDER BY last_at DESC))[1] AS last_status, (array_agg(last_facts ORDER BY last_at DESC))[1]::text AS last_facts
FROM webhook_deliveries
WHERE tenant_id = $1 AND ($2::text IS NULL OR endpoint_id = $2) AND day > current_date - $3::integer
GROUP BY reason, secret_id ORDER BY max(last_at) DESC LIMIT 50;

-- name: endpoints_of
-- The endpoints of a tenant, oldest first, with nothing of what is sealed; at most $2.
SELECT endpoint_id, provider, created_at FROM webhook_endpoints WHERE tenant_id = $1 ORDER BY created_at, endpoint_id LIMIT $2;

-- name: verdicts_by_endpoint
-- What became of the deliveries to the endpoints of a tenant in the last days, latest first; the days of one reason are one row.
SELECT endpoint_id, reason, sum(deliveries)::bigint AS deliveries, min(first_at) AS first_at, max(last_at) AS last_at,
       (array_agg(last_status ORDER BY last_at DESC))[1] AS last_status, (array_agg(last_facts ORDER BY last_at DESC))[1]::text AS last_facts
FROM webhook_deliveries WHERE tenant_id = $1 AND day > current_date - $2::integer
GROUP BY endpoint_id, reason ORDER BY max(last_at) DESC LIMIT 1000;

-- name: attempts_of
-- What the jobs of a message wait for, or failed with.
SELECT stage, attachment_index, generation, attempts, cause, first_at, last_at, next_at
FROM job_attempts WHERE tenant_id = $1 AND message_key = $2 ORDER BY attachment_index, first_at LIMIT 100;

-- name: texts_of
-- What models said about files, by the files' digests, oldest first.
SELECT sha256, kind, recipe, model, prompt_version, refused, left(text, 4000) AS text, created_at
FROM ai_results WHERE tenant_id = $1 AND sha256 = ANY($2::text[]) ORDER BY sha256, created_at LIMIT 50;
