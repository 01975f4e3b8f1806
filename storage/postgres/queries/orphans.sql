-- name: shown
-- Which of these objects a row knows.
SELECT object_key FROM media_objects WHERE object_key = ANY($1::text[]);

-- name: undecided_tenants
-- Tenants with a record in quarantine that may name a stored file, and may yet be replayed.
SELECT DISTINCT tenant_id FROM quarantined_messages WHERE state = 'new' AND stage <> 'dedupe';
