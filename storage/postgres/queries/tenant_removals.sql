-- Removals of tenants that people began in the console. Used by storage/postgres/tenant_removals.py.

-- name: begin_removal
-- Records that the data of a removed tenant is to be deleted. A removal that has not ended stays as
-- it is, unless it is of an earlier tenant of this name.
INSERT INTO tenant_removals AS earlier (tenant_id, person) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET
    person = EXCLUDED.person, began_at = now(), ended_at = NULL, deleted = '{}', holder = '', held_until = NULL, trouble = ''
    WHERE earlier.ended_at IS NOT NULL OR earlier.began_at < (SELECT removed_at FROM tenants t WHERE t.tenant_id = $1);

-- name: hold_removal
-- Takes the removal that has waited longest of those that have not ended and that no other process
-- holds. SKIP LOCKED lets several processes ask at once. A tenant that was added again, or whose
-- data is kept, is left alone.
UPDATE tenant_removals SET holder = $1, held_until = now() + make_interval(secs => $2)
WHERE tenant_id = (
    SELECT r.tenant_id FROM tenant_removals r JOIN tenants t ON t.tenant_id = r.tenant_id
    WHERE r.ended_at IS NULL AND (r.held_until IS NULL OR r.held_until < now()) AND t.removed_at IS NOT NULL AND NOT t.data_kept
    ORDER BY r.held_until NULLS FIRST, r.began_at LIMIT 1 FOR UPDATE OF r SKIP LOCKED
)
RETURNING tenant_id, person, holder, deleted;

-- name: renew_removal
-- Keeps the hold of a removal for $4 more seconds, and records what was deleted so far. Returns no
-- row if another process holds it.
UPDATE tenant_removals SET held_until = now() + make_interval(secs => $4), deleted = $3::jsonb, trouble = ''
WHERE tenant_id = $1 AND holder = $2 AND ended_at IS NULL RETURNING tenant_id;

-- name: finish_removal
-- Records that all data of a removed tenant was deleted.
UPDATE tenant_removals SET ended_at = now(), deleted = $3::jsonb, held_until = NULL, trouble = ''
WHERE tenant_id = $1 AND holder = $2 AND ended_at IS NULL;

-- name: let_removal_go
-- Releases a removal with what was deleted and the reason ($4). No process takes it again for $5
-- seconds.
UPDATE tenant_removals SET trouble = $4, deleted = $3::jsonb, held_until = now() + make_interval(secs => $5)
WHERE tenant_id = $1 AND holder = $2 AND ended_at IS NULL;

-- name: removed_tenants
-- Returns the $1 tenants that were removed last, with the removal of each that a person began in the
-- console. `has_messages` is true while messages of it are stored.
SELECT t.tenant_id, t.removed_at, t.data_kept, r.person, r.began_at, r.ended_at, r.deleted, r.trouble,
       EXISTS (SELECT FROM chat_messages m WHERE m.tenant_id = t.tenant_id) AS has_messages
FROM tenants t LEFT JOIN tenant_removals r ON r.tenant_id = t.tenant_id AND r.began_at >= t.removed_at
WHERE t.removed_at IS NOT NULL ORDER BY coalesce(r.began_at, t.removed_at) DESC, t.tenant_id LIMIT $1;
