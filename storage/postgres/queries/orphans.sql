-- What `sensorium sweep` asks before it deletes stored files. Used by streams/repair/orphans.py.

-- name: shown
-- Returns those of these objects that have a row.
SELECT object_key
FROM unnest($1::text[], $2::text[]) AS asked (tenant_id, object_key) JOIN media_objects USING (tenant_id, object_key);

-- name: undecided_tenants
-- Returns those of these tenants with a quarantined record that could name a stored file and can
-- still be replayed. Their files are not swept.
SELECT tenant_id FROM unnest($1::text[]) AS asked (tenant_id)
WHERE EXISTS (
    SELECT FROM quarantined_messages AS refused
    WHERE refused.tenant_id = asked.tenant_id AND refused.state = 'new' AND refused.stage <> 'dedupe'
);
