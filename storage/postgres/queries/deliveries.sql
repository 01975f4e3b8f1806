-- name: add_deliveries
-- Adds counts of deliveries to those of the day. Counts of a tenant that was removed meanwhile are left out.
INSERT INTO webhook_deliveries AS there
    (tenant_id, endpoint_id, day, reason, secret_id, deliveries, first_at, last_at, last_status, last_facts)
SELECT new.* FROM unnest($1::text[], $2::text[], $3::date[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[],
                         $8::timestamptz[], $9::integer[], $10::jsonb[])
    AS new (tenant_id, endpoint_id, day, reason, secret_id, deliveries, first_at, last_at, last_status, last_facts)
WHERE new.tenant_id = ''
   OR EXISTS (SELECT FROM tenants WHERE tenants.tenant_id = new.tenant_id AND tenants.removed_at IS NULL)
ON CONFLICT (tenant_id, endpoint_id, day, reason, secret_id) DO UPDATE SET
    deliveries = there.deliveries + EXCLUDED.deliveries,
    first_at = least(there.first_at, EXCLUDED.first_at),
    last_at = greatest(there.last_at, EXCLUDED.last_at),
    last_status = CASE WHEN EXCLUDED.last_at >= there.last_at THEN EXCLUDED.last_status ELSE there.last_status END,
    last_facts = CASE WHEN EXCLUDED.last_at >= there.last_at THEN EXCLUDED.last_facts ELSE there.last_facts END;

-- name: forget_old
-- Ends the counts of days that are further back than $1, and what is known of tokens that ended three times as long ago.
WITH tokens AS (DELETE FROM ended_tokens WHERE ended_at < now() - 3 * $1::interval)
DELETE FROM webhook_deliveries WHERE day < (now() - $1::interval)::date;

-- name: forget_strangers
-- Keeps the latest $1 counts of tokens that nobody has.
DELETE FROM webhook_deliveries
WHERE tenant_id = '' AND (endpoint_id, day, reason) NOT IN (
    SELECT endpoint_id, day, reason FROM webhook_deliveries WHERE tenant_id = '' ORDER BY last_at DESC LIMIT $1);

-- name: deliveries
-- What became of deliveries, latest first: of a tenant ($1), of an endpoint or unknown token ($2), since a moment ($3), at most $4 rows.
-- The days of one reason are one row.
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
-- An endpoint by its id, and whether it is still there.
SELECT tenant_id, endpoint_id, provider, false AS ended FROM webhook_endpoints WHERE endpoint_id = $1
UNION ALL
SELECT tenant_id, endpoint_id, provider, reason = 'endpoint_removed' FROM ended_tokens WHERE endpoint_id = $1
ORDER BY ended LIMIT 1;

-- name: endpoint_of_token
-- The endpoint that has or had a token, by the token's digest.
SELECT endpoint_id FROM webhook_endpoints WHERE token_sha256 = $1 OR former_token_sha256 = $1
UNION ALL
SELECT endpoint_id FROM ended_tokens WHERE token_sha256 = $1;
