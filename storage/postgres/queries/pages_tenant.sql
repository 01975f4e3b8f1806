-- What the console's pages about a tenant's state, endpoints and messages read. Used by
-- connectors/console/pages/.

-- name: volume_by_hour
-- Returns the tenant's messages per hour over the last 24 hours. Counts only the newest $2.
SELECT date_trunc('hour', received_at) AS hour, count(*) AS messages FROM (
    SELECT received_at FROM chat_messages WHERE tenant_id = $1 AND received_at > now() - interval '24 hours'
    ORDER BY received_at DESC, message_key DESC LIMIT $2
) AS newest GROUP BY 1 ORDER BY 1;

-- name: unfinished
-- Returns how many messages of a tenant are unfinished (counted up to $2), and when the oldest of
-- them was received.
SELECT count(*) AS messages, min(received_at) AS oldest_at FROM (
    SELECT received_at FROM chat_messages WHERE tenant_id = $1 AND status = 'pending' ORDER BY received_at LIMIT $2
) AS oldest;

-- name: why_jobs_wait
-- Returns why jobs of a tenant wait, by stage and cause, most frequent first. Ignores notes whose
-- next try is over 10 minutes overdue.
SELECT stage, cause, count(*) AS jobs, min(first_at) AS since, min(next_at) AS next_at FROM job_attempts
WHERE tenant_id = $1 AND next_at > now() - interval '10 minutes' GROUP BY stage, cause ORDER BY 3 DESC, 1, 2 LIMIT 20;

-- name: top_reasons
-- Returns why files of the newest $2 degraded messages failed, most frequent first.
SELECT attachment ->> 'reason' AS reason, count(*) AS files
FROM (
    SELECT content_attributes FROM chat_messages WHERE tenant_id = $1 AND status = 'degraded' ORDER BY received_at DESC LIMIT $2
) AS m
CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(m.content_attributes -> 'attachments') = 'array'
    THEN m.content_attributes -> 'attachments' ELSE '[]' END) AS attachment
WHERE attachment ->> 'status' = 'failed' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $3;

-- name: spend_by_day
-- Returns what a tenant spent on models by day. The cost is NULL if the price of one of the calls
-- is unknown.
SELECT day, sum(calls)::bigint AS calls, CASE WHEN count(cost_microusd) = count(*) THEN sum(cost_microusd)::bigint END AS cost_microusd
FROM ai_usage WHERE tenant_id = $1 AND day > current_date - $2::integer GROUP BY day ORDER BY day DESC;

-- name: deliveries_of
-- Returns outcomes of deliveries over the last $3 days, latest first, to one endpoint or to all of
-- a tenant ($2 NULL); one row per reason and secret.
SELECT reason, secret_id, sum(deliveries)::bigint AS deliveries, min(first_at) AS first_at, max(last_at) AS last_at,
       (array_agg(last_status ORDER BY last_at DESC))[1] AS last_status, (array_agg(last_facts ORDER BY last_at DESC))[1]::text AS last_facts
FROM webhook_deliveries
WHERE tenant_id = $1 AND ($2::text IS NULL OR endpoint_id = $2) AND day > current_date - $3::integer
GROUP BY reason, secret_id ORDER BY max(last_at) DESC LIMIT 50;

-- name: endpoints_of
-- Returns at most $2 endpoints of a tenant, oldest first, without their sealed contents.
SELECT endpoint_id, provider, created_at FROM webhook_endpoints WHERE tenant_id = $1 ORDER BY created_at, endpoint_id LIMIT $2;

-- name: verdicts_by_endpoint
-- Returns outcomes of deliveries over the last $2 days, latest first, one row per endpoint and
-- reason.
SELECT endpoint_id, reason, sum(deliveries)::bigint AS deliveries, min(first_at) AS first_at, max(last_at) AS last_at,
       (array_agg(last_status ORDER BY last_at DESC))[1] AS last_status, (array_agg(last_facts ORDER BY last_at DESC))[1]::text AS last_facts
FROM webhook_deliveries WHERE tenant_id = $1 AND day > current_date - $2::integer
GROUP BY endpoint_id, reason ORDER BY max(last_at) DESC LIMIT 1000;

-- name: attempts_of
-- Returns why jobs of a message wait or failed.
SELECT stage, attachment_index, generation, attempts, cause, first_at, last_at, next_at
FROM job_attempts WHERE tenant_id = $1 AND message_key = $2 ORDER BY attachment_index, first_at LIMIT 100;

-- name: texts_of
-- Returns the recorded answers of models about files, given by digest, oldest first.
SELECT sha256, kind, recipe, model, prompt_version, refused, left(text, 4000) AS text, created_at
FROM ai_results WHERE tenant_id = $1 AND sha256 = ANY($2::text[]) ORDER BY sha256, created_at LIMIT 50;

-- name: quarantined_record
-- Returns a quarantined record of a tenant with its bytes, in any state, and the conversation of the
-- message with the same key, if any. A topic that was made anew may have the place twice; the newest
-- counts.
SELECT q.stage, q.reason, q.detail, q.record_key, q.topic, q.partition, q."offset", q.created_at, q.state, q.value, q.headers,
       m.message_key, m.conversation_id
FROM quarantined_messages q LEFT JOIN chat_messages m ON m.tenant_id = q.tenant_id AND m.message_key = q.record_key
WHERE q.tenant_id = $1 AND q.stage = $2 AND q.topic = $3 AND q.partition = $4 AND q."offset" = $5
ORDER BY q.created_at DESC LIMIT 1;

-- name: holdings_at_most
-- Counts what is stored for a tenant, each kind up to $2, so that no tenant is too large to count.
SELECT (SELECT count(*) FROM (SELECT FROM chat_messages WHERE tenant_id = $1 LIMIT $2) AS bounded) AS messages,
       (SELECT count(*) FROM (SELECT FROM media_objects WHERE tenant_id = $1 LIMIT $2) AS bounded) AS files,
       (SELECT count(*) FROM (SELECT FROM ai_results WHERE tenant_id = $1 LIMIT $2) AS bounded) AS model_answers,
       (SELECT count(*) FROM (SELECT FROM quarantined_messages WHERE tenant_id = $1 LIMIT $2) AS bounded) AS quarantined,
       (SELECT count(*) FROM webhook_endpoints WHERE tenant_id = $1) AS endpoints,
       (SELECT count(*) FROM api_keys WHERE tenant_id = $1) AS keys,
       (SELECT count(*) FROM people_roles WHERE tenant_id = $1) AS people,
       (SELECT count(*) FROM (SELECT FROM chat_messages WHERE tenant_id = $1 AND status = 'pending' LIMIT $2) AS bounded) AS pending;
