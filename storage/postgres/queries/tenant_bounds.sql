-- Keeps one tenant from filling the tables of arrivals and quarantine. Used by
-- storage/postgres/tenant_bounds.py, which puts the name of a partition in place of the word week
-- in braces.

-- name: weeks
-- Returns the partitions of arrival_records, oldest first.
SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'arrival_records'::regclass ORDER BY c.relname;

-- name: crowded_arrivals
-- Returns tenants with more than $1 arrivals, with estimates from the planner's statistics. A
-- tenant with that many rows is among the most common values of each partition.
SELECT v.tenant_id, sum(v.share * c.reltuples)::bigint AS rows
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_stats s ON s.schemaname = current_schema() AND s.tablename = c.relname AND s.attname = 'tenant_id' AND NOT s.inherited,
    LATERAL unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS v (tenant_id, share)
WHERE i.inhparent = 'arrival_records'::regclass AND c.reltuples > 0
GROUP BY v.tenant_id HAVING sum(v.share * c.reltuples) > $1 ORDER BY v.tenant_id;

-- name: drop_arrivals
-- Deletes a tenant's arrivals in the blocks of a partition from ctid $1 to ctid $2.
DELETE FROM {week} WHERE ctid >= $1 AND ctid < $2 AND tenant_id = $3;

-- name: count_again
-- Renews the statistics of a partition, which `crowded_arrivals` reads.
ANALYZE {week};

-- name: crowded_quarantine
-- Returns tenants with more than $1 quarantined records.
SELECT tenant_id, count(*) AS rows FROM quarantined_messages GROUP BY tenant_id HAVING count(*) > $1 ORDER BY tenant_id;

-- name: first_beyond
-- Returns when the newest of a tenant's quarantined records beyond the newest $2 was quarantined.
SELECT created_at FROM quarantined_messages WHERE tenant_id = $1 ORDER BY created_at DESC OFFSET $2 LIMIT 1;

-- name: drop_quarantined
-- Deletes a tenant's quarantined records up to the time $4 in the blocks from ctid $1 to ctid $2.
-- The quarantine topic still has them.
DELETE FROM quarantined_messages WHERE ctid >= $1 AND ctid < $2 AND tenant_id = $3 AND created_at <= $4;
