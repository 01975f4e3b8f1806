-- Tenants, endpoints, keys, generations and the audit log. Used by storage/postgres/tenancy.py,
-- endpoints.py and the commands.

-- name: add_tenant
-- Adds a tenant and returns its id. Returns no row if it exists already, which then stays
-- unchanged. A tenant that was removed longer than $3 ago starts again as a new one.
INSERT INTO tenants AS there (tenant_id, settings) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET settings = EXCLUDED.settings, created_at = now(), removed_at = NULL, data_kept = false
    WHERE there.removed_at < now() - $3::interval
RETURNING tenant_id;

-- name: tenant_settings
-- Returns the sealed settings of a tenant that is not removed, and locks its row for a change.
SELECT settings FROM tenants WHERE tenant_id = $1 AND removed_at IS NULL FOR UPDATE;

-- name: tenant
-- Returns a tenant, removed or not.
SELECT tenant_id, settings, created_at, removed_at, data_kept FROM tenants WHERE tenant_id = $1;

-- name: removal_lock
-- Takes the lock under which a tenant is removed. Waits for all sinks that are writing a batch now
-- (their shared lock is in sink.sql); sinks that begin a batch later see the removal.
SELECT pg_advisory_xact_lock(hashtext(current_schema() || '_removal'));

-- name: remove_tenant
-- Marks a tenant as removed and replaces its settings by ones without secrets. The row stays, so
-- that late records of the tenant are recognised and dropped.
UPDATE tenants SET removed_at = coalesce(removed_at, now()), data_kept = $3, settings = $2 WHERE tenant_id = $1 RETURNING removed_at;

-- name: end_keys
-- Deletes every key of a tenant.
DELETE FROM api_keys WHERE tenant_id = $1;

-- name: end_roles
-- Deletes people's roles at a tenant, its unmasked conversations, its repairs and their counts of
-- tries. With the last role of a person, their sessions and login links end, as in `People.end_role`.
WITH leaving AS (SELECT person_id FROM people_roles r WHERE tenant_id = $1
                     AND NOT EXISTS (SELECT FROM people_roles o WHERE o.person_id = r.person_id AND o.tenant_id <> $1)),
     sessions AS (DELETE FROM people_sessions WHERE person_id IN (SELECT person_id FROM leaving)),
     links AS (DELETE FROM login_links WHERE person_id IN (SELECT person_id FROM leaving)),
     unmasked AS (DELETE FROM unmasked_conversations WHERE tenant_id = $1),
     repairs AS (DELETE FROM repairs WHERE tenant_id = $1),
     tries AS (DELETE FROM repair_tries WHERE tenant_id = $1)
DELETE FROM people_roles WHERE tenant_id = $1;

-- name: end_endpoints
-- Deletes every endpoint of a tenant, the counts of their deliveries and their ended tokens.
WITH deliveries AS (DELETE FROM webhook_deliveries WHERE tenant_id = $1),
     tokens AS (DELETE FROM ended_tokens WHERE tenant_id = $1)
DELETE FROM webhook_endpoints WHERE tenant_id = $1;

-- name: holdings
-- Counts what is stored for a tenant.
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
-- Replaces the sealed settings of a tenant.
UPDATE tenants SET settings = $2 WHERE tenant_id = $1;

-- name: add_endpoint
-- Adds a webhook endpoint. Token, secrets and provider key are sealed; the digest of the token
-- finds the endpoint.
INSERT INTO webhook_endpoints (tenant_id, endpoint_id, provider, token_sha256, sealed) VALUES ($1, $2, $3, $4, $5);

-- name: endpoint_by_token
-- Returns an endpoint by the digest of its current token, and locks its row for a change.
SELECT tenant_id, endpoint_id, provider, sealed FROM webhook_endpoints WHERE token_sha256 = $1 FOR UPDATE;

-- name: newest_endpoint
-- Returns the sealed contents of a tenant's newest endpoint for a provider.
SELECT sealed FROM webhook_endpoints WHERE tenant_id = $1 AND provider = $2 ORDER BY created_at DESC LIMIT 1;

-- name: reseal_endpoint
-- Replaces the sealed contents of an endpoint.
UPDATE webhook_endpoints SET sealed = $3 WHERE tenant_id = $1 AND endpoint_id = $2;

-- name: endpoint_by_id
-- Returns an endpoint by its id, and locks its row for a change.
SELECT tenant_id, endpoint_id, provider, sealed FROM webhook_endpoints WHERE endpoint_id = $1 FOR UPDATE;

-- name: remove_endpoint
-- Deletes an endpoint and records its tokens as ended, so that a later delivery to its URL can be
-- explained.
WITH gone AS (
    DELETE FROM webhook_endpoints WHERE tenant_id = $1 AND endpoint_id = $2
    RETURNING tenant_id, endpoint_id, provider, token_sha256, former_token_sha256)
INSERT INTO ended_tokens (token_sha256, tenant_id, endpoint_id, provider, reason)
SELECT token, tenant_id, endpoint_id, provider, 'endpoint_removed' FROM gone, unnest(ARRAY[token_sha256, former_token_sha256]) AS token
WHERE token IS NOT NULL
ON CONFLICT (token_sha256) DO UPDATE SET reason = EXCLUDED.reason, ended_at = now();

-- name: replace_token
-- Replaces the token of an endpoint. The previous token is accepted for $5 more seconds (0: not at
-- all), older ones no longer. The replaced token is recorded as ended.
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
-- Adds a key. Only its digest is stored.
INSERT INTO api_keys (tenant_id, key_sha256, scope, name) VALUES ($1, $2, $3, $4) RETURNING key_id;

-- name: list_keys
-- Returns the keys of a tenant. The keys themselves cannot be recovered.
SELECT key_id, name, scope, created_at FROM api_keys WHERE tenant_id = $1 ORDER BY created_at, key_id;

-- name: revoke_key
-- Deletes a key. Returns no row if it does not exist.
DELETE FROM api_keys WHERE key_id = $1 RETURNING tenant_id, key_id, name, scope;

-- name: write_audit
-- Adds an audit log entry. The column's default fills in the actor.
INSERT INTO audit_log (tenant_id, action, detail) VALUES ($1, $2, $3);

-- name: list_tenants
-- Returns all tenants that are not removed.
SELECT tenant_id, created_at FROM tenants WHERE removed_at IS NULL ORDER BY tenant_id;

-- name: list_endpoints
-- Returns the endpoints of a tenant, or of all ($1 NULL), with their sealed contents and the times
-- of the latest accepted and refused deliveries.
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
-- Returns the next generation number for a repair. It is at least the number of minutes since 2026,
-- so that a database restored from a backup does not give out numbers again that records on the
-- topics already have. Returns no row if another transaction took the same number at the same
-- moment; the caller tries again.
INSERT INTO generations (generation, command, detail) OVERRIDING SYSTEM VALUE
SELECT setval(pg_get_serial_sequence('generations', 'generation'),
              greatest(nextval(pg_get_serial_sequence('generations', 'generation')), coalesce(max(generation), 0) + 1,
                       (extract(epoch FROM now()) - extract(epoch FROM timestamptz '2026-01-01 00:00Z'))::bigint / 60)),
       $1, $2
FROM generations
ON CONFLICT DO NOTHING
RETURNING generation;

-- name: keys_after
-- Returns the next message keys of a tenant in order. The caller compares their digests with the
-- digest in a log line.
SELECT message_key FROM chat_messages WHERE tenant_id = $1 AND message_key > $2 ORDER BY message_key LIMIT $3;
