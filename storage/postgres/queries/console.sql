-- What the HTTP routes for bots and tools read. Used by connectors/console/queries.py and
-- streams/repair/.

-- name: conversation_ids
-- Returns all ids of a conversation, nearest first. Follows aliases in both directions, because a
-- customer's phone number and user id may appear together in a single message only. Three steps
-- lead from any form of a number to any other id of its owner. The limits (16 aliases per step, 64
-- ids) keep the query cheap for owners of very many ids.
WITH RECURSIVE names (id, steps) AS (
    SELECT unnest($2::text[]), 0
    UNION
    SELECT next.id, names.steps + 1
    FROM names, LATERAL (
        (SELECT conversation_id AS id FROM conversation_aliases WHERE tenant_id = $1 AND alias = names.id LIMIT 16)
        UNION ALL
        (SELECT alias FROM conversation_aliases WHERE tenant_id = $1 AND conversation_id = names.id LIMIT 16)
    ) AS next
    WHERE names.steps < 3
)
SELECT id FROM names GROUP BY id ORDER BY min(steps), id LIMIT 64;

-- name: context_keys
-- Returns the keys of a conversation's latest messages without notes, newest first, and how far
-- they fit into the size limits. Messages of the last 5 minutes are always included, whatever age
-- is asked for ($3). The first row belongs to no message and holds the snapshot and era of this
-- reading. `is_newer` is true if the row changed after the snapshot of an earlier reading ($10,
-- $11), and also if that cannot be decided.
WITH moment AS (
    SELECT pg_current_snapshot()::text AS snapshot, coalesce((
        SELECT CASE WHEN started_at = pg_postmaster_start_time() OR pg_is_in_recovery() THEN era ELSE era + 1 END
        FROM feed_eras ORDER BY era DESC LIMIT 1), 1) AS era
), latest AS (
    SELECT one.*, sum(least(coalesce(one.content_bytes, 0), $6) + least(one.attribute_bytes, $7))
        OVER (ORDER BY one.received_at DESC, one.message_key DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer_bytes
    FROM unnest($2::text[]) AS names (conversation_id), LATERAL (
        SELECT message_key, version, enriched_at, status, received_at, octet_length(content) AS content_bytes,
               pg_column_size(content_attributes) AS attribute_bytes, direction = 'inbound' AS is_inbound,
               changed_era > $10 OR changed_era = $10 AND NOT pg_visible_in_snapshot(changed_xid::text::xid8, $11::text::pg_snapshot) AS is_newer
        FROM chat_messages
        WHERE tenant_id = $1 AND conversation_id = names.conversation_id AND kind <> 'note'
          AND received_at >= now() - make_interval(secs => greatest($3::float8, 300))
          AND ($8::timestamptz IS NULL OR (received_at, message_key) < ($8, $9::text))
        ORDER BY received_at DESC, message_key DESC LIMIT $4
    ) AS one
    ORDER BY one.received_at DESC, one.message_key DESC LIMIT $4
)
SELECT NULL AS message_key, NULL AS version, NULL AS enriched_at, NULL AS status, NULL AS received_at, false AS fits, false AS is_within,
       false AS is_recent, 0::float8 AS age_seconds, false AS is_inbound, false AS is_newer, snapshot, era
FROM moment
UNION ALL
(SELECT message_key, version, enriched_at, status, received_at, coalesce(newer_bytes, 0) < $5, received_at >= now() - make_interval(secs => $3::float8),
        received_at >= now() - interval '5 minutes', extract(epoch FROM now() - received_at)::float8, is_inbound,
        coalesce(is_newer, true), NULL, NULL
 FROM latest ORDER BY received_at DESC, message_key DESC);

-- name: context_rows
-- Returns these messages in the given order, until their sizes add up to $5 bytes. Content is cut
-- after $3 characters. Attributes larger than $4 bytes are reduced to the transcript, small
-- provider data and the first 50 attachments, each text shortened.
SELECT message_key, version, enriched_at, role, kind, content, is_cut, attributes, occurred_at, direction, status, conversation_id, provider,
       received_at, sender_id, sender_name
FROM (
    SELECT *, sum(coalesce(octet_length(content), 0) + octet_length(attributes))
        OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
    FROM (
        SELECT place, message_key, version, enriched_at, role, kind, direction, status, conversation_id, provider, sender_id, sender_name,
               left(content, $3) AS content,
               coalesce(octet_length(content) > octet_length(left(content, $3)), false) AS is_cut,
               occurred_at, received_at,
               CASE WHEN octet_length(content_attributes::text) <= $4 THEN content_attributes::text ELSE jsonb_strip_nulls(jsonb_build_object(
                   'transcript', left(content_attributes ->> 'transcript', $4 / 8),
                   'provider', CASE WHEN octet_length((content_attributes -> 'provider')::text) <= $4 / 2 THEN content_attributes -> 'provider' END,
                   'attachments', (
                       SELECT jsonb_agg((
                           SELECT jsonb_object_agg(name, CASE WHEN jsonb_typeof(value) = 'string' THEN to_jsonb(left(value #>> '{}', $4 / 64)) ELSE value END)
                           FROM jsonb_each(attachment) AS field (name, value)
                           WHERE jsonb_typeof(value) NOT IN ('object', 'array') AND (name <> 'original_url' OR octet_length(value #>> '{}') <= $4 / 64)
                       )) FROM (
                           SELECT attachment FROM jsonb_array_elements(content_attributes -> 'attachments') WITH ORDINALITY AS every (attachment, place)
                           ORDER BY place LIMIT 50
                       ) AS first_ones
                   )
               ))::text END AS attributes
        FROM unnest($2::text[]) WITH ORDINALITY AS wanted (message_key, place) JOIN chat_messages USING (message_key) WHERE tenant_id = $1
    ) AS cut
) AS sized WHERE coalesce(bytes_before, 0) < $5 ORDER BY place;

-- name: known_keys
-- Returns those of these message keys that have a row, with their status.
SELECT message_key, status FROM chat_messages WHERE tenant_id = $1 AND message_key = ANY($2::text[]);

-- name: edge
-- Returns the point (era, xid) up to which changes are complete: everything written before it is
-- committed, and nothing more will be written before it. Only transactions that write messages hold
-- this point back. They lock chat_messages (`announce_writing` in sink.sql) before they have a
-- transaction id, so a writer whose id is not visible yet counts as the oldest running transaction.
-- `next_era` and `next_xid` are the smallest values that the next transaction can have.
WITH locks AS MATERIALIZED (
    SELECT virtualtransaction, locktype, mode, transactionid, relation, database FROM pg_locks WHERE granted
), now AS (
    SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next_xid, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_xid
), newest AS (
    SELECT era, started_at = pg_postmaster_start_time() AS is_running FROM feed_eras ORDER BY era DESC LIMIT 1
), writing AS (
    SELECT (
        SELECT min(CASE WHEN behind < 2147483648 THEN next_xid - behind ELSE next_xid + 4294967296 - behind END)
        FROM now, locks AS own, LATERAL (SELECT (next_xid - own.transactionid::text::bigint) & 4294967295 AS behind) AS distance
        WHERE own.virtualtransaction = writer.virtualtransaction AND own.locktype = 'transactionid' AND own.mode = 'ExclusiveLock'
    ) AS xid
    FROM locks AS writer
    WHERE writer.locktype = 'relation' AND writer.mode = 'RowExclusiveLock' AND writer.relation = 'chat_messages'::regclass
      AND writer.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT coalesce((SELECT era FROM newest), 0) AS era,
       CASE WHEN pg_is_in_recovery() THEN oldest_xid
            WHEN NOT coalesce((SELECT is_running FROM newest), false) THEN 9223372036854775807
            ELSE least(next_xid, (SELECT min(coalesce(xid, oldest_xid)) FROM writing)) END AS xid,
       next_xid,
       CASE WHEN pg_is_in_recovery() OR (SELECT is_running FROM newest) THEN coalesce((SELECT era FROM newest), 0)
            ELSE greatest(coalesce((SELECT era FROM newest), 0) + 1, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint)
       END AS next_era
FROM now;

-- name: changes
-- Returns the next changes of a tenant's messages after a position ($2 to $5), as far as they are
-- complete ($6, $7: the result of `edge`).
SELECT changed_era, changed_xid, received_at, message_key, conversation_id, status, kind
FROM chat_messages
WHERE tenant_id = $1 AND (changed_era, changed_xid, received_at, message_key COLLATE "C") > ($2, $3, $4, $5::text COLLATE "C")
  AND (changed_era, changed_xid) < ($6, $7)
ORDER BY changed_era, changed_xid, received_at, message_key COLLATE "C" LIMIT $8;

-- name: last_change
-- Returns the position of a tenant's newest complete change.
SELECT changed_era, changed_xid, received_at, message_key FROM chat_messages
WHERE tenant_id = $1 AND (changed_era, changed_xid) < ($2, $3)
ORDER BY changed_era DESC, changed_xid DESC, received_at DESC, message_key COLLATE "C" DESC LIMIT 1;

-- name: has_incomplete_changes
-- Returns whether a tenant has committed changes that lie behind the complete point of `edge` and
-- are therefore not served yet.
SELECT EXISTS (SELECT FROM chat_messages WHERE tenant_id = $1 AND (changed_era, changed_xid) >= ($2, $3)) AS waits;

-- name: conversations
-- Returns the next $3 conversations of a tenant in the order of their ids, with counts of their
-- messages. Notes are not counted. The recursion jumps from id to id in the index, so that the cost
-- depends on the page and not on the number of messages.
WITH RECURSIVE ids (id, place) AS (
    (SELECT conversation_id, 1 FROM chat_messages WHERE tenant_id = $1 AND conversation_id > $2 ORDER BY conversation_id LIMIT 1)
    UNION ALL
    SELECT (SELECT conversation_id FROM chat_messages WHERE tenant_id = $1 AND conversation_id > ids.id ORDER BY conversation_id LIMIT 1), place + 1
    FROM ids WHERE ids.id IS NOT NULL AND place < $3
)
SELECT ids.id AS conversation_id, counted.*,
       ARRAY(SELECT alias FROM conversation_aliases WHERE tenant_id = $1 AND conversation_id = ids.id ORDER BY alias LIMIT 16) AS aliases
FROM ids, LATERAL (
    SELECT count(*) AS messages, count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'degraded') AS degraded,
           min(received_at) AS first_received_at, max(received_at) AS last_received_at,
           max(received_at) FILTER (WHERE direction = 'inbound') AS last_inbound_at, max(received_at) FILTER (WHERE direction = 'outbound') AS last_outbound_at,
           array_agg(DISTINCT provider ORDER BY provider) AS providers
    FROM chat_messages WHERE tenant_id = $1 AND conversation_id = ids.id AND kind <> 'note'
) AS counted
WHERE ids.id IS NOT NULL ORDER BY ids.place;

-- name: sink_positions
-- Returns the sink's positions in a topic.
SELECT partition, next_offset FROM sink_offsets WHERE topic = $1;

-- name: message
-- Returns one message.
SELECT message_key, provider, conversation_id, role, direction, kind, content, content_attributes, status, version,
       occurred_at, received_at, enriched_at, sender_id, sender_name
FROM chat_messages WHERE tenant_id = $1 AND message_key = $2;

-- name: steps
-- Returns the steps of a message through the stages, oldest first.
SELECT stage, outcome, topic, partition, "offset", at FROM steps
WHERE tenant_id = $1 AND message_key = $2 ORDER BY at, topic, partition, "offset";

-- name: stored_by_original
-- Returns the newest stored file that was downloaded from a URL. The index is on the md5 of the
-- URL, because URLs can be too long for an index; the second comparison excludes collisions.
SELECT object_key FROM media_objects
WHERE tenant_id = $1 AND md5(original_url) = md5($2) AND original_url = $2 ORDER BY stored_at DESC LIMIT 1;

-- name: announced_by_original
-- Returns the provider and endpoint of a message that announced a URL. Messages received by an
-- endpoint are preferred to messages from POST /chat, which anybody with a chat key can send.
SELECT provider, endpoint_id, content_attributes -> 'provider' AS attributes FROM chat_messages
WHERE tenant_id = $1 AND content_attributes ? 'attachments'
  AND content_attributes -> 'attachments' @> jsonb_build_array(jsonb_build_object('original_url', $2::text))
ORDER BY coalesce(endpoint_id = 'direct', false), endpoint_id IS NULL, coalesce(content_attributes -> 'provider' ? 'event_type', false) DESC
LIMIT 1;
