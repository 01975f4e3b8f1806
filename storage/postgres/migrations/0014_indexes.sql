-- outside a transaction
-- The place of a quarantined record with the id of its topic. The largest of all indexes goes: nobody reads it.

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS quarantined_messages_by_place
    ON quarantined_messages (stage, topic, partition, "offset", topic_id);
DROP INDEX CONCURRENTLY IF EXISTS inbound_messages_not_forwarded;
