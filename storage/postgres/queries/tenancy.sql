-- name: add_tenant
-- A tenant; one that is there already stays as it is. One that was removed before $3 begins again.
INSERT INTO tenants AS there (tenant_id, settings) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET settings = EXCLUDED.settings, created_at = now(), removed_at = NULL, data_kept = false
    WHERE there.removed_at < now() - $3::interval
RETURNING tenant_id;

-- name: tenant_settings
-- The sealed settings of a tenant that was not removed, locked for a change.
SELECT settings FROM tenants WHERE tenant_id = $1 AND removed_at IS NULL FOR UPDATE;

-- name: tenant
-- A tenant, removed or not.
SELECT tenant_id, settings, created_at, removed_at, data_kept FROM tenants WHERE tenant_id = $1;

-- name: removal_lock
-- Waits for every sink that is writing rows now; those that begin later see the removal.
SELECT pg_advisory_xact_lock(hashtext(current_schema() || '_removal'));

-- name: remove_tenant
-- Marks a tenant as removed, with settings that hold no secret any more. The row stays: late records of the tenant are known by it.
UPDATE tenants SET removed_at = coalesce(removed_at, now()), data_kept = $3, settings = $2 WHERE tenant_id = $1 RETURNING removed_at;

-- name: end_keys
-- Ends every key of a tenant.
DELETE FROM api_keys WHERE tenant_id = $1;

-- name: end_roles
-- Ends what people may see of a tenant in the console.
WITH unmasked AS (DELETE FROM unmasked_conversations WHERE tenant_id = $1),
     repairs AS (DELETE FROM repairs WHERE tenant_id = $1),
     tries AS (DELETE FROM repair_tries WHERE tenant_id = $1)
DELETE FROM people_roles WHERE tenant_id = $1;

-- name: end_endpoints
-- Ends every endpoint of a tenant, and what was noted of their deliveries.
WITH deliveries AS (DELETE FROM webhook_deliveries WHERE tenant_id = $1),
     tokens AS (DELETE FROM ended_tokens WHERE tenant_id = $1)
DELETE FROM webhook_endpoints WHERE tenant_id = $1;

-- name: holdings
-- What is kept for a tenant.
SELECT (SELECT count(*) FROM api_keys WHERE tenant_id = $1) AS keys,
       (SELECT count(*) FROM webhook_endpoints WHERE tenant_id = $1) AS endpoints,
       (SELECT count(*) FROM chat_messages WHERE tenant_id = $1) AS messages,
       (SELECT count(*) FROM chat_messages WHERE tenant_id = $1 AND status = 'pending') AS pending,
       (SELECT count(*) FROM inbound_messages WHERE tenant_id = $1)
           + (SELECT count(*) FROM arrival_records WHERE tenant_id = $1) AS arrivals,
       (SELECT count(*) FROM message_steps WHERE tenant_id = $1) AS steps,
       (SELECT count(*) FROM conversation_aliases WHERE tenant_id = $1) AS aliases,
       (SELECT count(*) FROM media_objects WHERE tenant_id = $1) AS files,
       (SELECT coalesce(sum(bytes), 0)::bigint FROM media_objects WHERE tenant_id = $1) AS file_bytes,
       (SELECT count(*) FROM quarantined_messages WHERE tenant_id = $1) AS quarantined,
       (SELECT count(*) FROM ai_results WHERE tenant_id = $1) AS model_answers;

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

-- name: endpoint_by_id
-- An endpoint by its id, locked for a change.
SELECT tenant_id, endpoint_id, provider, sealed FROM webhook_endpoints WHERE endpoint_id = $1 FOR UPDATE;

-- name: remove_endpoint
-- Ends an endpoint, and remembers its token, so that a later delivery to it can be explained.
WITH gone AS (
    DELETE FROM webhook_endpoints WHERE tenant_id = $1 AND endpoint_id = $2
    RETURNING tenant_id, endpoint_id, provider, token_sha256, former_token_sha256)
INSERT INTO ended_tokens (token_sha256, tenant_id, endpoint_id, provider, reason)
SELECT token, tenant_id, endpoint_id, provider, 'endpoint_removed' FROM gone, unnest(ARRAY[token_sha256, former_token_sha256]) AS token
WHERE token IS NOT NULL
ON CONFLICT (token_sha256) DO UPDATE SET reason = EXCLUDED.reason, ended_at = now();

-- name: replace_token
-- A new token; the one before it is accepted for $5 seconds more, those before that no longer. That it ended is remembered.
WITH ended AS (
    INSERT INTO ended_tokens (token_sha256, tenant_id, endpoint_id, provider, reason)
    SELECT token_sha256, tenant_id, endpoint_id, provider, 'url_replaced'
    FROM webhook_endpoints WHERE tenant_id = $1 AND endpoint_id = $2
    ON CONFLICT (token_sha256) DO NOTHING)
UPDATE webhook_endpoints SET sealed = $3, token_sha256 = $4,
    former_token_sha256 = CASE WHEN $5 > 0 THEN token_sha256 END,
    former_token_until = CASE WHEN $5 > 0 THEN now() + make_interval(secs => $5) END
WHERE tenant_id = $1 AND endpoint_id = $2
RETURNING former_token_until;

-- name: add_key
-- A key, by digest only.
INSERT INTO api_keys (tenant_id, key_sha256, scope, name) VALUES ($1, $2, $3, $4) RETURNING key_id;

-- name: list_keys
-- The keys of a tenant; none of them can be read.
SELECT key_id, name, scope, created_at FROM api_keys WHERE tenant_id = $1 ORDER BY created_at, key_id;

-- name: revoke_key
-- Ends a key.
DELETE FROM api_keys WHERE key_id = $1 RETURNING tenant_id, key_id, name, scope;

-- name: write_audit
-- Who may look up later what was changed.
INSERT INTO audit_log (tenant_id, action, detail) VALUES ($1, $2, $3);

-- name: list_tenants
-- All tenants but those that were removed.
SELECT tenant_id, created_at FROM tenants WHERE removed_at IS NULL ORDER BY tenant_id;

-- name: list_endpoints
-- The endpoints of a tenant, or of all, with their sealed contents, and when deliveries were last accepted and refused.
SELECT tenant_id, endpoint_id, provider, created_at, sealed,
       CASE WHEN former_token_until > now() THEN former_token_until END AS former_token_until,
       (SELECT max(last_at) FROM webhook_deliveries AS d
        WHERE d.tenant_id = e.tenant_id AND d.endpoint_id = e.endpoint_id AND d.reason = 'accepted') AS accepted_at,
       refused.last_at AS refused_at, refused.reason AS refused_reason
FROM webhook_endpoints AS e LEFT JOIN LATERAL (
    SELECT last_at, reason FROM webhook_deliveries AS d
    WHERE d.tenant_id = e.tenant_id AND d.endpoint_id = e.endpoint_id AND d.reason <> 'accepted'
    ORDER BY last_at DESC LIMIT 1) AS refused ON true
WHERE $1::text IS NULL OR tenant_id = $1 ORDER BY tenant_id, created_at;

-- name: next_generation
-- The next generation for whatever redoes work: the minutes of this era, so that a restored database gives none again that records
-- on topics have already. None: somebody else took that number in the same moment.
INSERT INTO generations (generation, command, detail) OVERRIDING SYSTEM VALUE
SELECT setval(pg_get_serial_sequence('generations', 'generation'),
              greatest(nextval(pg_get_serial_sequence('generations', 'generation')), coalesce(max(generation), 0) + 1,
                       (extract(epoch FROM now()) - extract(epoch FROM timestamptz '2026-01-01 00:00Z'))::bigint / 60)),
       $1, $2
FROM generations
ON CONFLICT DO NOTHING
RETURNING generation;

-- name: keys_after
-- The next keys of a tenant's messages, in order, to be compared with the digest of a log line.
SELECT message_key FROM chat_messages WHERE tenant_id = $1 AND message_key > $2 ORDER BY message_key LIMIT $3;
