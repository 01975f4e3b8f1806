-- Earlier programs need it for their ON CONFLICT.

ALTER TABLE quarantined_messages DROP CONSTRAINT IF EXISTS quarantined_messages_stage_topic_partition_offset_key;
