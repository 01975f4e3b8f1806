-- Counts of webhook deliveries by outcome. Written by the receiver
-- (connectors/webhooks/delivery_log.py), read by `sensorium endpoints deliveries`
-- (streams/commands/deliveries.py).

-- name: add_deliveries
-- Adds counts of deliveries to the rows of their day. Skips counts of tenants that were removed in
-- the meantime. An empty tenant id stands for tokens that belong to no endpoint.
INSERT INTO webhook_deliveries AS there
    (tenant_id, endpoint_id, day, reason, secret_id, deliveries, first_at, last_at, last_status, last_facts)
SELECT tenant_id, endpoint_id, day, reason, secret_id, deliveries, first_at, last_at, last_status, last_facts
FROM unnest($1::text[], $2::text[], $3::date[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[],
                         $8::timestamptz[], $9::integer[], $10::jsonb[]) WITH ORDINALITY
    AS new (tenant_id, endpoint_id, day, reason, secret_id, deliveries, first_at, last_at, last_status, last_facts, nth)
WHERE new.tenant_id = ''
   OR EXISTS (SELECT FROM tenants WHERE tenants.tenant_id = new.tenant_id AND tenants.removed_at IS NULL)
ORDER BY new.nth
ON CONFLICT (tenant_id, endpoint_id, day, reason, secret_id) DO UPDATE SET
    deliveries = there.deliveries + EXCLUDED.deliveries,
    first_at = least(there.first_at, EXCLUDED.first_at),
    last_at = greatest(there.last_at, EXCLUDED.last_at),
    last_status = CASE WHEN EXCLUDED.last_at >= there.last_at THEN EXCLUDED.last_status ELSE there.last_status END,
    last_facts = CASE WHEN EXCLUDED.last_at >= there.last_at THEN EXCLUDED.last_facts ELSE there.last_facts END;

-- name: forget_old
-- Deletes counts of days older than $1, and ended tokens that ended more than three times $1 ago.
WITH tokens AS (DELETE FROM ended_tokens WHERE ended_at < now() - 3 * $1::interval)
DELETE FROM webhook_deliveries WHERE day < (now() - $1::interval)::date;

-- name: forget_strangers
-- Deletes counts of tokens that belong to no endpoint, except for the latest $1.
DELETE FROM webhook_deliveries
WHERE tenant_id = '' AND (endpoint_id, day, reason) NOT IN (
    SELECT endpoint_id, day, reason FROM webhook_deliveries WHERE tenant_id = '' ORDER BY last_at DESC LIMIT $1);

-- name: deliveries
-- Returns outcomes of deliveries, latest first, one row per reason and secret over all days: of a
-- tenant ($1), an endpoint or unknown token ($2) and since a time ($3), each of which may be NULL
-- for no restriction; at most $4 rows.
SELECT tenant_id, endpoint_id, reason, secret_id,
       sum(deliveries)::bigint AS deliveries, min(first_at) AS first_at, max(last_at) AS last_at,
       (array_agg(last_status ORDER BY last_at DESC))[1] AS last_status,
       (array_agg(last_facts ORDER BY last_at DESC))[1]::text AS last_facts
FROM webhook_deliveries
WHERE ($1::text IS NULL OR tenant_id = $1)
  AND ($2::text IS NULL OR endpoint_id = $2)
  AND ($3::timestamptz IS NULL OR last_at >= $3)
GROUP BY tenant_id, endpoint_id, reason, secret_id
ORDER BY last_at DESC LIMIT $4;

-- name: endpoint
-- Returns an endpoint by its id, and whether it was removed. An existing endpoint comes first.
SELECT tenant_id, endpoint_id, provider, false AS ended FROM webhook_endpoints WHERE endpoint_id = $1
UNION ALL
SELECT tenant_id, endpoint_id, provider, reason = 'endpoint_removed' FROM ended_tokens WHERE endpoint_id = $1
ORDER BY ended LIMIT 1;

-- name: endpoint_of_token
-- Returns the endpoint that has, or used to have, the token with this digest.
SELECT endpoint_id FROM webhook_endpoints WHERE token_sha256 = $1 OR former_token_sha256 = $1
UNION ALL
SELECT endpoint_id FROM ended_tokens WHERE token_sha256 = $1;
