-- What the sink writes. Used by connectors/postgres/: positions.py, staging.py and writer.py. All
-- writes of a batch and the move of its offsets commit in one transaction.

-- name: announce_writing
-- Takes a lock on chat_messages before the transaction has an id. Readers of changes wait only for
-- holders of this lock (`edge` in console.sql). It conflicts with no other writer.
LOCK TABLE chat_messages IN ROW EXCLUSIVE MODE;

-- name: know_partitions
-- Adds positions for partitions that have none, with `next_offset` -1. The NOT EXISTS is needed
-- because ON CONFLICT alone would wait for an owner that is just moving its position.
INSERT INTO sink_offsets (topic, partition, topic_id, next_offset, epoch)
SELECT topic, partition, topic_id, -1, 0
FROM unnest($1::text[], $2::integer[], $3::text[]) AS new (topic, partition, topic_id)
WHERE NOT EXISTS (SELECT 1 FROM sink_offsets o WHERE o.topic = new.topic AND o.partition = new.partition)
ORDER BY topic, partition
ON CONFLICT (topic, partition) DO NOTHING;

-- name: positions_beyond
-- Returns positions of partitions that do not exist in topics with $2 partitions. If there are any,
-- the topics had more partitions before, and the sink stops.
SELECT topic, partition FROM sink_offsets WHERE topic = ANY($1::text[]) AND partition >= $2 ORDER BY topic, partition;

-- name: take_partitions
-- Becomes the owner of these partitions by raising their epoch, so that no former owner can write
-- any more. Skips partitions that a running transaction has locked; the caller tries them again.
-- Forgets where the log ended once a person has set the position to that or to an earlier offset.
WITH free AS (
    SELECT o.topic, o.partition FROM sink_offsets o
    JOIN unnest($1::text[], $2::integer[]) AS asked (topic, partition) USING (topic, partition)
    ORDER BY o.topic, o.partition
    FOR UPDATE OF o SKIP LOCKED
)
UPDATE sink_offsets o SET epoch = o.epoch + 1, lost_end = CASE WHEN o.next_offset > o.lost_end THEN o.lost_end END
FROM free WHERE o.topic = free.topic AND o.partition = free.partition
RETURNING o.topic, o.partition, o.topic_id, o.next_offset, o.epoch, o.lost_end;

-- name: end_holders
-- Ends the sessions that have held one of these positions in a transaction for longer than $3. The
-- group gave the partitions to the caller, so that transaction could not commit any more. The
-- server's own time limits do not end a COPY whose client sends nothing and is still connected.
SELECT a.pid, pg_terminate_backend(a.pid) AS ended
FROM pg_stat_activity a
WHERE a.xact_start < clock_timestamp() - $3::interval AND a.pid <> pg_backend_pid() AND a.usename = current_user
  AND a.backend_xid IN (SELECT o.xmax FROM sink_offsets o JOIN unnest($1::text[], $2::integer[]) AS asked (topic, partition) USING (topic, partition));

-- name: note_lost_end
-- Notes where the log ended when it was found to end before the position, unless another sink has
-- taken over. No sink continues from that position, however far the log grows.
UPDATE sink_offsets SET lost_end = $4 WHERE topic = $1 AND partition = $2 AND epoch = $3 AND next_offset > $4;

-- name: lost_positions
-- Returns the positions that are not continued from, because the log ended before them.
SELECT topic, partition, next_offset, lost_end FROM sink_offsets WHERE topic = ANY($1::text[]) AND next_offset > lost_end ORDER BY topic, partition;

-- name: move_offset
-- Moves the position of a partition forward, if the epoch shows that this process still owns it and
-- the position is where the batch began ($5). Updates no row otherwise.
UPDATE sink_offsets SET next_offset = $3 WHERE topic = $1 AND partition = $2 AND epoch = $4 AND next_offset = $5;

-- name: position_of
-- Returns the position of a partition and the epoch of its owner. Explains why `move_offset`
-- updated nothing.
SELECT next_offset, epoch FROM sink_offsets WHERE topic = $1 AND partition = $2;

-- name: removal_lock
-- Takes a shared lock until the transaction ends, so that a tenant is not removed while a batch is
-- being written. The exclusive counterpart is in tenancy.sql.
SELECT pg_advisory_xact_lock_shared(hashtext(current_schema() || '_removal'));

-- name: removed_tenants
-- Returns removed tenants whose records must not be stored any more.
SELECT tenant_id FROM tenants WHERE removed_at IS NOT NULL AND NOT data_kept;

-- name: stage_messages
-- Creates the temporary table that holds the messages of a batch for `merge_messages`. It belongs
-- to the session and is emptied at each commit. The number in its name must change whenever its
-- columns change.
CREATE TEMPORARY TABLE IF NOT EXISTS staged_messages_1 (
    tenant_id text, message_key text, provider text, conversation_id text, role text, direction text, kind text, content text,
    content_attributes jsonb, status text, version bigint, occurred_at timestamptz, received_at timestamptz, enriched_at timestamptz,
    sender_id text, sender_name text, endpoint_id text, steps jsonb
) ON COMMIT DELETE ROWS;

-- name: clear_staged
-- Empties the temporary table between the parts of one batch, so that no message is merged twice.
TRUNCATE pg_temp.staged_messages_1;

-- name: merge_messages
-- Inserts or updates the staged messages. A row changes only if the new version is higher. A
-- re-delivery after the horizon changes nothing: it has a low version (its first opening) and
-- another time of arrival, while a later opening or a repair has a version above 200. A finished
-- row stays finished while a repair redoes it (docs/decisions/0018). A stored file that the row has
-- already is not lost if the new version lacks it (0009); the kind is kept with it. Messages are
-- staged in key order and read in that order, so that two sinks lock rows in the same order.
INSERT INTO chat_messages AS there
    (tenant_id, message_key, provider, conversation_id, role, direction, kind, content, content_attributes, status, version,
     occurred_at, received_at, enriched_at, sender_id, sender_name, endpoint_id, steps, changed_era, changed_xid)
SELECT tenant_id, message_key, provider, conversation_id, role, direction, kind, content, content_attributes, status, version,
       occurred_at, received_at, enriched_at, sender_id, sender_name, endpoint_id, steps,
       (SELECT feed_era()), (SELECT pg_current_xact_id()::text::bigint)
FROM pg_temp.staged_messages_1
ON CONFLICT (tenant_id, message_key) DO UPDATE SET
    role = EXCLUDED.role, direction = EXCLUDED.direction, content = EXCLUDED.content, version = EXCLUDED.version,
    (kind, status, content_attributes) = (
        SELECT CASE WHEN lost IS NULL THEN EXCLUDED.kind ELSE there.kind END,
               CASE WHEN lost IS NULL OR EXCLUDED.status <> 'complete' OR there.status <> 'degraded' THEN EXCLUDED.status ELSE 'degraded' END,
               CASE WHEN lost IS NULL THEN EXCLUDED.content_attributes ELSE with_files(there.content_attributes, EXCLUDED.content_attributes, lost) END
        FROM (SELECT CASE WHEN there.content_attributes ? 'attachments'
                     THEN lost_files(there.content_attributes, EXCLUDED.content_attributes) END AS lost) AS files),
    occurred_at = EXCLUDED.occurred_at, received_at = LEAST(there.received_at, EXCLUDED.received_at), enriched_at = EXCLUDED.enriched_at,
    sender_id = EXCLUDED.sender_id, sender_name = EXCLUDED.sender_name,
    endpoint_id = coalesce(EXCLUDED.endpoint_id, there.endpoint_id),
    steps = CASE WHEN there.steps IS NULL OR pg_column_size(there.steps) > 16000 THEN EXCLUDED.steps
                 ELSE there.steps || coalesce(EXCLUDED.steps, '{}') END,
    changed_era = EXCLUDED.changed_era, changed_xid = EXCLUDED.changed_xid,
    redoing_version = CASE WHEN there.redoing_version > EXCLUDED.version THEN there.redoing_version END
WHERE there.version < EXCLUDED.version AND (there.received_at = EXCLUDED.received_at OR EXCLUDED.version > 200)
  AND (EXCLUDED.status <> 'pending' OR there.status = 'pending' OR EXCLUDED.version <= 1000);

-- name: mark_redoing
-- Marks finished rows that a repair redoes: stores the version that the repair has reached, which
-- the row does not show yet, and appends its steps, which it does show.
UPDATE chat_messages AS there SET redoing_version = new.version, steps = coalesce(there.steps, '{}') || coalesce(new.steps::jsonb, '{}')
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS new (tenant_id, message_key, version, steps)
WHERE there.tenant_id = new.tenant_id AND there.message_key = new.message_key AND there.status <> 'pending'
  AND there.version < new.version AND coalesce(there.redoing_version, 0) < new.version;

-- name: insert_aliases
-- Adds aliases of conversations. Existing ones stay.
INSERT INTO conversation_aliases (tenant_id, alias, conversation_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ON CONFLICT DO NOTHING;

-- name: insert_objects
-- Adds rows of stored files. Objects never change, so existing rows stay.
INSERT INTO media_objects (tenant_id, object_key, message_key, attachment_index, sha256, mime_type, bytes, original_url, stored_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::timestamptz[])
ON CONFLICT DO NOTHING;

-- name: insert_quarantined
-- Adds quarantined records with their bytes. Rows of earlier versions of the program have an empty
-- topic id; the NOT EXISTS keeps the same record from being stored again beside such a row.
INSERT INTO quarantined_messages
    (stage, topic, partition, tenant_id, reason, detail, record_key, "offset", created_at, key, value, headers, program_version, topic_id)
SELECT stage, topic, partition, tenant_id, reason, detail, record_key, "offset", created_at, key, value, headers::jsonb, program_version, topic_id
FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::timestamptz[],
            $10::bytea[], $11::bytea[], $12::text[], $13::text[], $14::text[]) WITH ORDINALITY
    AS new (stage, topic, partition, tenant_id, reason, detail, record_key, "offset", created_at, key, value, headers, program_version, topic_id, nth)
WHERE NOT EXISTS (SELECT 1 FROM quarantined_messages q WHERE q.stage = new.stage AND q.topic = new.topic AND q.partition = new.partition
                     AND q."offset" = new."offset" AND q.topic_id = '' AND q.created_at = new.created_at)
ORDER BY new.nth
ON CONFLICT DO NOTHING;

-- name: tell
-- Notifies readers that wait for a conversation. Postgres delivers the notification at the commit.
SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload;
