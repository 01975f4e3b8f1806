-- name: add_tenant
-- A tenant; one that is there already stays as it is.
INSERT INTO tenants (tenant_id, settings) VALUES ($1, $2) ON CONFLICT (tenant_id) DO NOTHING RETURNING tenant_id;

-- name: tenant_settings
-- The sealed settings of a tenant, locked for a change.
SELECT settings FROM tenants WHERE tenant_id = $1 FOR UPDATE;

-- name: set_tenant_settings
-- New sealed settings of a tenant.
UPDATE tenants SET settings = $2 WHERE tenant_id = $1;

-- name: add_endpoint
-- A webhook endpoint with its sealed token, secrets and provider key.
INSERT INTO webhook_endpoints (tenant_id, endpoint_id, provider, token_sha256, sealed) VALUES ($1, $2, $3, $4, $5);

-- name: endpoint_by_token
-- An endpoint by the digest of its token, locked for a change.
SELECT tenant_id, endpoint_id, provider, sealed FROM webhook_endpoints WHERE token_sha256 = $1 FOR UPDATE;

-- name: newest_endpoint
-- A tenant's endpoint for a provider.
SELECT sealed FROM webhook_endpoints WHERE tenant_id = $1 AND provider = $2 ORDER BY created_at DESC LIMIT 1;

-- name: reseal_endpoint
-- New sealed contents of an endpoint.
UPDATE webhook_endpoints SET sealed = $3 WHERE tenant_id = $1 AND endpoint_id = $2;

-- name: add_key
-- A key, by digest only.
INSERT INTO api_keys (tenant_id, key_sha256, scope) VALUES ($1, $2, $3);

-- name: write_audit
-- Who may look up later what was changed.
INSERT INTO audit_log (tenant_id, action, detail) VALUES ($1, $2, $3);

-- name: list_tenants
-- All tenants.
SELECT tenant_id, created_at FROM tenants ORDER BY tenant_id;

-- name: list_endpoints
-- All endpoints, without secrets.
SELECT tenant_id, endpoint_id, provider, created_at FROM webhook_endpoints ORDER BY tenant_id, created_at;

-- name: next_generation
-- The next generation for whatever redoes work.
INSERT INTO generations (command, detail) VALUES ($1, $2) RETURNING generation;
