-- outside a transaction
-- The changes of a tenant in their order.

CREATE INDEX CONCURRENTLY IF NOT EXISTS chat_messages_by_change
    ON chat_messages (tenant_id, changed_era, changed_xid, received_at, message_key COLLATE "C");
