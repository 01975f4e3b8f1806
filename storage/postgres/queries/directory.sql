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
