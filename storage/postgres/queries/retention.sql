-- name: lead
-- One process of all walks at a time: the lock goes with its session.
SELECT pg_try_advisory_lock(hashtext(current_schema() || '_retention'));

-- name: blocks
-- How many blocks a table has.
SELECT pg_relation_size(to_regclass($1)) / current_setting('block_size')::bigint;

-- name: make_weeks
-- Makes the partitions of arrivals that are missing for a day.
SELECT make_arrival_weeks($1, $1);

-- name: old_weeks
-- Partitions of arrivals of which every row is older, and how many rows each has, about.
SELECT c.relname AS name, greatest(c.reltuples, 0)::bigint AS rows FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'arrival_records'::regclass AND c.relname ~ '^arrival_records_[0-9]{8}$'
  AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 7)::timestamp AT TIME ZONE 'UTC' <= $1
ORDER BY c.relname;

-- name: expire_arrival_records
-- Arrivals of no week that has a partition, in some blocks of their table, that are older.
DELETE FROM arrival_records_other WHERE ctid >= $1 AND ctid < $2 AND received_at < $3;

-- name: expire_inbound_messages
-- Arrivals in some blocks of the table that are older.
DELETE FROM inbound_messages WHERE ctid >= $1 AND ctid < $2 AND received_at < $3;

-- name: expire_message_steps
-- Steps in some blocks of the table that are older.
DELETE FROM message_steps WHERE ctid >= $1 AND ctid < $2 AND at < $3;

-- name: expire_quarantined_messages
-- Quarantined records in some blocks of the table that are older, whatever became of them.
DELETE FROM quarantined_messages WHERE ctid >= $1 AND ctid < $2 AND created_at < $3;

-- name: expire_ai_results
-- Recorded answers in some blocks of the table that are older.
DELETE FROM ai_results WHERE ctid >= $1 AND ctid < $2 AND created_at < $3;

-- name: expire_ai_usage
-- Days of usage in some blocks of the table that are older.
DELETE FROM ai_usage WHERE ctid >= $1 AND ctid < $2 AND day < ($3 AT TIME ZONE 'UTC')::date;

-- name: expire_audit_log
-- Who changed what, in some blocks of the table, that is older.
DELETE FROM audit_log WHERE ctid >= $1 AND ctid < $2 AND at < $3;

-- name: expire_stage_stops
-- Stops in some blocks of the table that are older.
DELETE FROM stage_stops WHERE ctid >= $1 AND ctid < $2 AND coalesce(resumed_at, asked_at) < $3;

-- name: expire_repairs
-- Repairs that ended and plans that nobody applied, in some blocks of the table, that are older.
DELETE FROM repairs WHERE ctid >= $1 AND ctid < $2 AND state <> 'running' AND coalesce(ended_at, ends_at) < $3;

-- name: forget_tries
-- Tries, in some blocks of the table, of what is not there any more: it was removed while a repair noted that it tried it.
DELETE FROM repair_tries t WHERE t.ctid >= $1 AND t.ctid < $2
  AND NOT EXISTS (SELECT FROM chat_messages m WHERE m.tenant_id = t.tenant_id AND m.message_key = t.message_key)
  AND NOT EXISTS (SELECT FROM quarantined_messages q WHERE q.tenant_id = t.tenant_id AND q.record_key = t.message_key);

-- name: merge_words
-- Brings the words of the latest messages from the list in which they wait into their index.
SELECT gin_clean_pending_list('chat_messages_words'::regclass);

-- name: expire_stage_minutes
-- What processes did in minutes that are over for longer, in some blocks of the table.
DELETE FROM stage_minutes WHERE ctid >= $1 AND ctid < $2 AND minute < $3;

-- name: quarantine_bytes
-- How many bytes the records in quarantine take, of all tenants: asked first, since it is for free.
SELECT pg_total_relation_size('quarantined_messages');

-- name: heavy_tenants
-- Tenants whose bodies in quarantine take more bytes than that.
SELECT tenant_id FROM quarantined_messages GROUP BY tenant_id HAVING sum(octet_length(value)) > $1 ORDER BY tenant_id;

-- name: drop_bodies
-- The bodies of a tenant's oldest quarantined records, beyond that many bytes. The rows say what was refused.
WITH sized AS (
    SELECT ctid, sum(octet_length(value)) OVER (ORDER BY created_at DESC, ctid DESC) AS total
    FROM quarantined_messages WHERE tenant_id = $1 AND value IS NOT NULL
)
UPDATE quarantined_messages q SET value = NULL, headers = '{}', state = 'dismissed',
    detail = left(q.detail, 300) || ' (body dropped: the tenant has too many bytes in quarantine; the topic still has it)'
FROM sized WHERE q.ctid = sized.ctid AND sized.total > $2;
