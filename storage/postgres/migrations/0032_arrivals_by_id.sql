-- outside a transaction
-- The view of arrivals joins this table to one that compares ids byte by byte, and so cannot use the primary key here.

CREATE INDEX CONCURRENTLY IF NOT EXISTS inbound_messages_by_id ON inbound_messages (tenant_id, provider, provider_message_id COLLATE "C");
