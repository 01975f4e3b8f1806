-- Reads tenants, endpoints and keys into the copy that each role holds in memory
-- (docs/decisions/0025). Used by storage/postgres/directory.py.

-- name: tenants
-- Returns every tenant with its sealed settings, and whether it was removed.
SELECT tenant_id, settings, removed_at IS NOT NULL AS removed FROM tenants;

-- name: endpoints
-- Returns every endpoint with its sealed contents. The former token is NULL once it is no longer
-- accepted.
SELECT tenant_id, endpoint_id, provider, token_sha256, sealed,
       CASE WHEN former_token_until > now() THEN former_token_sha256 END AS former_token_sha256, former_token_until
FROM webhook_endpoints;

-- name: keys
-- Returns the digest and scope of every key.
SELECT tenant_id, key_sha256, scope FROM api_keys;

-- name: ended_tokens
-- Returns the 1000 tokens that ended last, so that the receiver can explain why it refuses them.
SELECT token_sha256, tenant_id, endpoint_id, provider, reason FROM ended_tokens ORDER BY ended_at DESC LIMIT 1000;

-- name: ended_tokens_of
-- Returns the same as `ended_tokens` for these tenants only.
SELECT token_sha256, tenant_id, endpoint_id, provider, reason FROM ended_tokens WHERE tenant_id = ANY($1::text[])
ORDER BY ended_at DESC LIMIT 1000;

-- name: tenants_of
-- Returns the same as `tenants` for these tenants only.
SELECT tenant_id, settings, removed_at IS NOT NULL AS removed FROM tenants WHERE tenant_id = ANY($1::text[]);

-- name: endpoints_of
-- Returns the same as `endpoints` for these tenants only.
SELECT tenant_id, endpoint_id, provider, token_sha256, sealed,
       CASE WHEN former_token_until > now() THEN former_token_sha256 END AS former_token_sha256, former_token_until
FROM webhook_endpoints WHERE tenant_id = ANY($1::text[]);

-- name: keys_of
-- Returns the same as `keys` for these tenants only.
SELECT tenant_id, key_sha256, scope FROM api_keys WHERE tenant_id = ANY($1::text[]);

-- name: mark
-- Returns the oldest transaction id that may still be running. Every transaction below it has
-- ended, so this reading contains what it committed. The next refresh starts from here.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS mark;

-- name: changed_since
-- Returns tenants that were changed by a transaction that had not ended at the mark ($1). Ignores
-- ids of the future, which come from a restored backup and mean nothing.
SELECT tenant_id FROM directory_changes
WHERE change >= $1::text::xid8 AND change < pg_snapshot_xmax(pg_current_snapshot());
