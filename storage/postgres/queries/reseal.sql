-- Seals secrets again under the first key of SENSORIUM_SECRETS__KEY. Used by
-- storage/postgres/resealing.py, which builds the names `lock_…` and `write_…` from the name of the
-- table.

-- name: tenants
-- Returns every tenant, including removed ones.
SELECT tenant_id, tenant_id AS id FROM tenants ORDER BY tenant_id;

-- name: lock_tenants
-- Returns the sealed settings of a tenant and locks its row until the transaction ends.
SELECT settings FROM tenants WHERE tenant_id = $1 AND tenant_id = $2 FOR UPDATE;

-- name: write_tenants
-- Stores the same settings, sealed with another key.
UPDATE tenants SET settings = $3 WHERE tenant_id = $1 AND tenant_id = $2;

-- name: webhook_endpoints
-- Returns every endpoint.
SELECT tenant_id, endpoint_id AS id FROM webhook_endpoints ORDER BY tenant_id, endpoint_id;

-- name: lock_webhook_endpoints
-- Returns the sealed contents of an endpoint and locks its row until the transaction ends.
SELECT sealed FROM webhook_endpoints WHERE tenant_id = $1 AND endpoint_id = $2 FOR UPDATE;

-- name: write_webhook_endpoints
-- Stores the same contents of an endpoint, sealed with another key.
UPDATE webhook_endpoints SET sealed = $3 WHERE tenant_id = $1 AND endpoint_id = $2;
