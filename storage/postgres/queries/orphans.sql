-- name: shown
-- Which of these objects a row knows.
SELECT object_key
FROM unnest($1::text[], $2::text[]) AS asked (tenant_id, object_key) JOIN media_objects USING (tenant_id, object_key);

-- name: undecided_tenants
-- Of these tenants, those with a record in quarantine that may name a stored file, and may yet be replayed.
SELECT tenant_id FROM unnest($1::text[]) AS asked (tenant_id)
WHERE EXISTS (
    SELECT FROM quarantined_messages AS refused
    WHERE refused.tenant_id = asked.tenant_id AND refused.state = 'new' AND refused.stage <> 'dedupe'
);
