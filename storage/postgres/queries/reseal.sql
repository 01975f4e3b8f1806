-- name: tenants
-- Every tenant, removed ones too.
SELECT tenant_id, tenant_id AS id FROM tenants ORDER BY tenant_id;

-- name: lock_tenants
-- The sealed settings of a tenant, locked.
SELECT settings FROM tenants WHERE tenant_id = $1 AND tenant_id = $2 FOR UPDATE;

-- name: write_tenants
-- The same settings under another key.
UPDATE tenants SET settings = $3 WHERE tenant_id = $1 AND tenant_id = $2;

-- name: webhook_endpoints
-- Every endpoint.
SELECT tenant_id, endpoint_id AS id FROM webhook_endpoints ORDER BY tenant_id, endpoint_id;

-- name: lock_webhook_endpoints
-- The sealed contents of an endpoint, locked.
SELECT sealed FROM webhook_endpoints WHERE tenant_id = $1 AND endpoint_id = $2 FOR UPDATE;

-- name: write_webhook_endpoints
-- The same contents of an endpoint under another key.
UPDATE webhook_endpoints SET sealed = $3 WHERE tenant_id = $1 AND endpoint_id = $2;
