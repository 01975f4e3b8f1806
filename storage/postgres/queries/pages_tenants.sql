-- What the console's pages about several tenants read. Used by connectors/console/pages/.

-- name: all_failed_files_of_tenants
-- Groups all failed files of these tenants ($1) by tenant, reason and type, and returns the $2
-- groups with the most files. `days` and `counts` hold the number of files per day over the last 15
-- days.
SELECT tenant_id, reason, type, sum(files)::bigint AS files, min(first_at) AS first_at, max(last_at) AS last_at, (max(newest))[2] AS message_key,
       sum(redoing)::bigint AS redoing, array_agg(day) FILTER (WHERE day IS NOT NULL) AS days,
       array_agg(files) FILTER (WHERE day IS NOT NULL) AS counts
FROM (
    SELECT m.tenant_id, attachment ->> 'reason' AS reason, attachment ->> 'type' AS type,
           CASE WHEN m.received_at > now() - interval '15 days' THEN (m.received_at AT TIME ZONE 'UTC')::date END AS day,
           count(*) AS files, min(m.received_at) AS first_at, max(m.received_at) AS last_at,
           max(ARRAY[extract(epoch FROM m.received_at)::numeric(20, 6)::text, m.message_key]) AS newest,
           count(*) FILTER (WHERE m.redoing_version IS NOT NULL) AS redoing
    FROM chat_messages m
    CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(m.content_attributes -> 'attachments') = 'array'
        THEN m.content_attributes -> 'attachments' ELSE '[]' END) AS attachment
    WHERE m.tenant_id = ANY($1::text[]) AND m.status = 'degraded' AND attachment ->> 'status' = 'failed'
    GROUP BY 1, 2, 3, 4
) AS by_day
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT $2;

-- name: failed_files_of_tenants
-- Groups like `all_failed_files_of_tenants`, but reads only the newest $3 degraded messages of each
-- tenant.
SELECT tenant_id, reason, type, sum(files)::bigint AS files, min(first_at) AS first_at, max(last_at) AS last_at, (max(newest))[2] AS message_key,
       sum(redoing)::bigint AS redoing, array_agg(day) AS days, array_agg(files) AS counts
FROM (
    SELECT m.tenant_id, attachment ->> 'reason' AS reason, attachment ->> 'type' AS type, (m.received_at AT TIME ZONE 'UTC')::date AS day,
           count(*) AS files, min(m.received_at) AS first_at, max(m.received_at) AS last_at,
           max(ARRAY[extract(epoch FROM m.received_at)::numeric(20, 6)::text, m.message_key]) AS newest,
           count(*) FILTER (WHERE m.redoing_version IS NOT NULL) AS redoing
    FROM (
        SELECT newest.tenant_id, message_key, received_at, redoing_version,
               jsonb_array_elements(CASE WHEN jsonb_typeof(content_attributes -> 'attachments') = 'array'
                   THEN content_attributes -> 'attachments' ELSE '[]' END) AS attachment
        FROM unnest($1::text[]) AS wanted (tenant_id)
        CROSS JOIN LATERAL (
            SELECT tenant_id, message_key, received_at, redoing_version, content_attributes FROM chat_messages
            WHERE tenant_id = wanted.tenant_id AND status = 'degraded' ORDER BY received_at DESC LIMIT $3
        ) AS newest
    ) AS m
    WHERE attachment ->> 'status' = 'failed'
    GROUP BY 1, 2, 3, 4
) AS by_day
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT $2;

-- name: quarantined_of_tenants
-- Groups the newest $3 quarantined records of each of these tenants ($1) by tenant, stage and
-- reason, and returns the $2 groups with the most records.
SELECT tenant_id, stage, reason, sum(records)::bigint AS records, min(first_at) AS first_at, max(last_at) AS last_at,
       bool_or(is_sendable) AS is_sendable, array_agg(day) AS days, array_agg(records) AS counts
FROM (
    SELECT q.tenant_id, q.stage, q.reason, (q.created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS records,
           min(q.created_at) AS first_at, max(q.created_at) AS last_at,
           bool_or((q.stage, q.topic) IN (('dedupe', 'raw-messages'), ('assemble', 'enrichments'), ('sink', 'enriched-messages'))) AS is_sendable
    FROM unnest($1::text[]) AS wanted (tenant_id)
    CROSS JOIN LATERAL (
        SELECT tenant_id, stage, reason, topic, created_at FROM quarantined_messages
        WHERE tenant_id = wanted.tenant_id AND state = 'new' ORDER BY created_at DESC LIMIT $3
    ) AS q
    GROUP BY 1, 2, 3, 4
) AS by_day
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT $2;
