-- name: rows
-- Messages that arrived or changed since then, of one tenant or of all.
SELECT tenant_id, message_key, version, status, received_at, enriched_at
FROM chat_messages WHERE (received_at >= $1 OR enriched_at >= $1) AND ($2::text IS NULL OR tenant_id = $2);

-- name: arrivals
-- Keys of raw records that may have been delivered since then: first seen since then, or within the horizon before.
SELECT message_key, outcome, deliveries
FROM inbound_messages WHERE received_at >= $1::timestamptz - interval '8 days' AND ($2::text IS NULL OR tenant_id = $2);

-- name: objects
-- Files stored since then.
SELECT tenant_id, object_key, message_key, bytes, stored_at FROM media_objects WHERE stored_at >= $1 AND ($2::text IS NULL OR tenant_id = $2);

-- name: quarantined
-- Places of quarantined records.
SELECT tenant_id, stage, topic, partition, "offset" FROM quarantined_messages WHERE created_at >= $1 AND ($2::text IS NULL OR tenant_id = $2);

-- name: positions
-- Where the sink stands.
SELECT topic, partition, next_offset FROM sink_offsets;
