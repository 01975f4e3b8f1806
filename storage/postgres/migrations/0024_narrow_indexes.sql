-- outside a transaction
-- Each message writes every index, and the key of a message is most of an entry. Few rows have the same moment, so that sorting them
-- when they are read costs nothing. The words of new messages wait in a list that the sink empties every few seconds, many at a time.

CREATE INDEX CONCURRENTLY IF NOT EXISTS chat_messages_changed ON chat_messages (tenant_id, changed_era, changed_xid, received_at);
CREATE INDEX CONCURRENTLY IF NOT EXISTS chat_messages_latest ON chat_messages (tenant_id, received_at);
DROP INDEX CONCURRENTLY IF EXISTS chat_messages_by_change;
DROP INDEX CONCURRENTLY IF EXISTS chat_messages_newest;
ALTER INDEX chat_messages_words SET (gin_pending_list_limit = 32768);
