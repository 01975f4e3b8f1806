-- Deletes rows that are older than their retention (docs/decisions/0022). Used by
-- storage/postgres/retention.py, block_walk.py and word_index.py. A statement `expire_…` looks at
-- the blocks from ctid $1 to ctid $2 of its table and deletes rows older than $3.

-- name: lead
-- Tries to take the lock that lets one process at a time walk over the tables. The lock belongs to
-- the session and is released when the session ends.
SELECT pg_try_advisory_lock(hashtext(current_schema() || '_retention'));

-- name: blocks
-- Returns how many blocks a table has.
SELECT pg_relation_size(to_regclass($1)) / current_setting('block_size')::bigint;

-- name: make_weeks
-- Creates the partitions of arrival_records that are missing for a day ($1).
SELECT make_arrival_weeks($1, $1);

-- name: old_weeks
-- Returns the partitions of arrival_records in which every row is older than $1, with an estimate
-- of their rows.
SELECT c.relname AS name, greatest(c.reltuples, 0)::bigint AS rows FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'arrival_records'::regclass AND c.relname ~ '^arrival_records_[0-9]{8}$'
  AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 7)::timestamp AT TIME ZONE 'UTC' <= $1
ORDER BY c.relname;

-- name: expire_arrival_records
-- Deletes old arrivals from the partition for weeks that have none of their own.
DELETE FROM arrival_records_other WHERE ctid >= $1 AND ctid < $2 AND received_at < $3;

-- name: expire_inbound_messages
-- Deletes old arrivals that earlier versions of the program wrote.
DELETE FROM inbound_messages WHERE ctid >= $1 AND ctid < $2 AND received_at < $3;

-- name: expire_message_steps
-- Deletes old steps that earlier versions of the program wrote.
DELETE FROM message_steps WHERE ctid >= $1 AND ctid < $2 AND at < $3;

-- name: expire_quarantined_messages
-- Deletes old quarantined records in any state.
DELETE FROM quarantined_messages WHERE ctid >= $1 AND ctid < $2 AND created_at < $3;

-- name: expire_ai_results
-- Deletes old recorded answers of models.
DELETE FROM ai_results WHERE ctid >= $1 AND ctid < $2 AND created_at < $3;

-- name: expire_ai_usage
-- Deletes usage of old days.
DELETE FROM ai_usage WHERE ctid >= $1 AND ctid < $2 AND day < ($3 AT TIME ZONE 'UTC')::date;

-- name: expire_audit_log
-- Deletes old audit log entries.
DELETE FROM audit_log WHERE ctid >= $1 AND ctid < $2 AND at < $3;

-- name: expire_stage_stops
-- Deletes stops that were resumed, or last seen waiting, long ago.
DELETE FROM stage_stops WHERE ctid >= $1 AND ctid < $2 AND coalesce(resumed_at, asked_at) < $3;

-- name: expire_repairs
-- Deletes repairs that ended, and plans that were never applied, long ago.
DELETE FROM repairs WHERE ctid >= $1 AND ctid < $2 AND state <> 'running' AND coalesce(ended_at, ends_at) < $3;

-- name: forget_tries
-- Deletes counts of repair tries whose message or record no longer exists. They remain when it is
-- removed while a repair is counting a try.
DELETE FROM repair_tries t WHERE t.ctid >= $1 AND t.ctid < $2
  AND NOT EXISTS (SELECT FROM chat_messages m WHERE m.tenant_id = t.tenant_id AND m.message_key = t.message_key)
  AND NOT EXISTS (SELECT FROM quarantined_messages q WHERE q.tenant_id = t.tenant_id AND q.record_key = t.message_key);

-- name: merge_words
-- Moves the words of the latest messages from the pending list of the GIN index into its main part,
-- so that searches stay fast.
SELECT gin_clean_pending_list('chat_messages_words'::regclass);

-- name: expire_stage_minutes
-- Deletes old minutes of processes.
DELETE FROM stage_minutes WHERE ctid >= $1 AND ctid < $2 AND minute < $3;

-- name: quarantine_bytes
-- Returns the size of the quarantine table with its indexes. It is asked first, because it needs no
-- scan.
SELECT pg_total_relation_size('quarantined_messages');

-- name: heavy_tenants
-- Returns the tenants whose quarantined bodies take more than $1 bytes.
SELECT tenant_id FROM quarantined_messages GROUP BY tenant_id HAVING sum(octet_length(value)) > $1 ORDER BY tenant_id;

-- name: drop_bodies
-- Drops the bodies of a tenant's oldest quarantined records beyond $2 bytes and marks them as
-- dismissed. The rows still say what was refused, and the quarantine topic still has the records.
WITH sized AS (
    SELECT ctid, sum(octet_length(value)) OVER (ORDER BY created_at DESC, ctid DESC) AS total
    FROM quarantined_messages WHERE tenant_id = $1 AND value IS NOT NULL
)
UPDATE quarantined_messages q SET value = NULL, headers = '{}', state = 'dismissed',
    detail = left(q.detail, 300) || ' (body dropped: the tenant has too many bytes in quarantine; the topic still has it)'
FROM sized WHERE q.ctid = sized.ctid AND sized.total > $2;
