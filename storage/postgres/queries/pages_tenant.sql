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
