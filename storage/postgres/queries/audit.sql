-- What `sensorium audit` reads from Postgres. Used by streams/audit/facts.py.

-- name: rows
-- Returns the messages received in a time span, of one tenant or of all ($3 NULL). The audit finds
-- among them rows that no Kafka record explains.
SELECT tenant_id, message_key, version, status, received_at, enriched_at, redoing_version
FROM chat_messages WHERE received_at >= $1 AND received_at < $2 AND ($3::text IS NULL OR tenant_id = $3);

-- name: rows_of
-- Returns the messages with these keys, however old they are.
SELECT tenant_id, message_key, version, status, received_at, enriched_at, redoing_version
FROM unnest($1::text[], $2::text[]) AS asked (tenant_id, message_key) JOIN chat_messages USING (tenant_id, message_key);

-- name: arrivals_of
-- Returns what became of these provider message ids and how often each was delivered, whenever the
-- first delivery arrived.
SELECT found.*
FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (tenant_id, provider, provider_message_id), LATERAL (
    SELECT a.message_key, a.outcome, a.deliveries FROM arrivals a
    WHERE a.tenant_id = asked.tenant_id AND a.provider = asked.provider AND a.provider_message_id = asked.provider_message_id OFFSET 0
) AS found;

-- name: objects
-- Returns the files stored in a time span, of one tenant or of all ($3 NULL).
SELECT tenant_id, object_key, message_key, bytes, stored_at FROM media_objects
WHERE stored_at >= $1 AND stored_at < $2 AND ($3::text IS NULL OR tenant_id = $3);

-- name: objects_of
-- Returns these files, whenever they were first stored. A replay stores the same object again, so
-- the file may be older than the time span of the audit.
SELECT tenant_id, object_key, message_key, bytes, stored_at
FROM unnest($1::text[], $2::text[]) AS asked (tenant_id, object_key) JOIN media_objects USING (tenant_id, object_key);

-- name: quarantined_of
-- Returns those of these places (stage, topic, partition, offset) that have a row in quarantine.
SELECT stage, topic, partition, "offset"
FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[]) AS asked (stage, topic, partition, "offset")
JOIN quarantined_messages USING (stage, topic, partition, "offset");

-- name: positions
-- Returns the sink's positions in these topics. A pipeline may have positions in several sets of
-- topics.
SELECT topic, partition, next_offset FROM sink_offsets WHERE topic = ANY($1::text[]);
