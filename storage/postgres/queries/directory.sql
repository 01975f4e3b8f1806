-- name: tenants
-- Every tenant with its sealed settings, and whether it was removed.
SELECT tenant_id, settings, removed_at IS NOT NULL AS removed FROM tenants;

-- name: endpoints
-- Every endpoint with its sealed contents, and a former token as long as it is accepted.
SELECT tenant_id, endpoint_id, provider, token_sha256, sealed,
       CASE WHEN former_token_until > now() THEN former_token_sha256 END AS former_token_sha256, former_token_until
FROM webhook_endpoints;

-- name: keys
-- Every key's digest and scope.
SELECT tenant_id, key_sha256, scope FROM api_keys;

-- name: ended_tokens
-- Tokens that have ended, latest first.
SELECT token_sha256, tenant_id, endpoint_id, provider, reason FROM ended_tokens ORDER BY ended_at DESC LIMIT 1000;

-- name: ended_tokens_of
-- Those of these tenants.
SELECT token_sha256, tenant_id, endpoint_id, provider, reason FROM ended_tokens WHERE tenant_id = ANY($1::text[])
ORDER BY ended_at DESC LIMIT 1000;

-- name: tenants_of
-- The same of these tenants.
SELECT tenant_id, settings, removed_at IS NOT NULL AS removed FROM tenants WHERE tenant_id = ANY($1::text[]);

-- name: endpoints_of
-- The endpoints of these tenants.
SELECT tenant_id, endpoint_id, provider, token_sha256, sealed,
       CASE WHEN former_token_until > now() THEN former_token_sha256 END AS former_token_sha256, former_token_until
FROM webhook_endpoints WHERE tenant_id = ANY($1::text[]);

-- name: keys_of
-- The keys of these tenants.
SELECT tenant_id, key_sha256, scope FROM api_keys WHERE tenant_id = ANY($1::text[]);

-- name: mark
-- A transaction below this number has ended: what it changed is in this reading, or is gone.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS mark;

-- name: changed_since
-- Tenants that were changed by a transaction that had not ended at the mark. Numbers that are still to
-- come were brought in by a restored backup, and say nothing.
SELECT tenant_id FROM directory_changes
WHERE change >= $1::text::xid8 AND change < pg_snapshot_xmax(pg_current_snapshot());
