-- name: rows
-- Messages that arrived in a span of time, of one tenant or of all: among them those that no record explains.
SELECT tenant_id, message_key, version, status, received_at, enriched_at, redoing_version
FROM chat_messages WHERE received_at >= $1 AND received_at < $2 AND ($3::text IS NULL OR tenant_id = $3);

-- name: rows_of
-- Messages of these keys, however old.
SELECT tenant_id, message_key, version, status, received_at, enriched_at, redoing_version
FROM unnest($1::text[], $2::text[]) AS asked (tenant_id, message_key) JOIN chat_messages USING (tenant_id, message_key);

-- name: arrivals_of
-- What is known of these keys of raw records, whenever they came first.
SELECT found.*
FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (tenant_id, provider, provider_message_id), LATERAL (
    SELECT a.message_key, a.outcome, a.deliveries FROM arrivals a
    WHERE a.tenant_id = asked.tenant_id AND a.provider = asked.provider AND a.provider_message_id = asked.provider_message_id OFFSET 0
) AS found;

-- name: objects
-- Files stored in a span of time.
SELECT tenant_id, object_key, message_key, bytes, stored_at FROM media_objects
WHERE stored_at >= $1 AND stored_at < $2 AND ($3::text IS NULL OR tenant_id = $3);

-- name: objects_of
-- These files, whenever they were stored first: a replay puts the same object again.
SELECT tenant_id, object_key, message_key, bytes, stored_at
FROM unnest($1::text[], $2::text[]) AS asked (tenant_id, object_key) JOIN media_objects USING (tenant_id, object_key);

-- name: quarantined_of
-- Which of these places have a row.
SELECT stage, topic, partition, "offset"
FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[]) AS asked (stage, topic, partition, "offset")
JOIN quarantined_messages USING (stage, topic, partition, "offset");

-- name: positions
-- Where the sink stands in these topics. A pipeline may have positions in several sets of topics.
SELECT topic, partition, next_offset FROM sink_offsets WHERE topic = ANY($1::text[]);
