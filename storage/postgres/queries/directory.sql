-- name: tenants
-- Every tenant with its sealed settings.
SELECT tenant_id, settings FROM tenants;

-- name: endpoints
-- Every endpoint with its sealed contents.
SELECT tenant_id, endpoint_id, provider, sealed FROM webhook_endpoints;

-- name: keys
-- Every key's digest and scope.
SELECT tenant_id, key_sha256, scope FROM api_keys;
