-- outside a transaction
-- Which messages show the same content; which records in quarantine are about a message; what a contact sent.
CREATE INDEX CONCURRENTLY IF NOT EXISTS media_objects_by_content ON media_objects (tenant_id, sha256);
CREATE INDEX CONCURRENTLY IF NOT EXISTS quarantined_messages_by_key ON quarantined_messages (tenant_id, record_key);
CREATE INDEX CONCURRENTLY IF NOT EXISTS chat_messages_by_sender ON chat_messages (tenant_id, sender_id) WHERE sender_id IS NOT NULL;
