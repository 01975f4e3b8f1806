-- name: weeks
-- The partitions of arrivals, oldest first.
SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'arrival_records'::regclass ORDER BY c.relname;

-- name: crowded_arrivals
-- Tenants with more arrivals than that, and about how many, by the statistics of each partition: a tenant with many is in all of them.
SELECT v.tenant_id, sum(v.share * c.reltuples)::bigint AS rows
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_stats s ON s.schemaname = current_schema() AND s.tablename = c.relname AND s.attname = 'tenant_id' AND NOT s.inherited,
    LATERAL unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS v (tenant_id, share)
WHERE i.inhparent = 'arrival_records'::regclass AND c.reltuples > 0
GROUP BY v.tenant_id HAVING sum(v.share * c.reltuples) > $1 ORDER BY v.tenant_id;

-- name: drop_arrivals
-- Arrivals of a tenant in some blocks of a partition.
DELETE FROM {week} WHERE ctid >= $1 AND ctid < $2 AND tenant_id = $3;

-- name: count_again
-- The statistics of a partition.
ANALYZE {week};

-- name: crowded_quarantine
-- Tenants with more quarantined records than that.
SELECT tenant_id, count(*) AS rows FROM quarantined_messages GROUP BY tenant_id HAVING count(*) > $1 ORDER BY tenant_id;

-- name: first_beyond
-- When the newest of a tenant's quarantined records beyond that many came.
SELECT created_at FROM quarantined_messages WHERE tenant_id = $1 ORDER BY created_at DESC OFFSET $2 LIMIT 1;

-- name: drop_quarantined
-- A tenant's quarantined records in some blocks of the table that came then or earlier. The topic still has them.
DELETE FROM quarantined_messages WHERE ctid >= $1 AND ctid < $2 AND tenant_id = $3 AND created_at <= $4;
