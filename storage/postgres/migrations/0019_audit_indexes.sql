-- outside a transaction
-- The audit reads rows hour by hour. Rows are written in the order of time, so that an index of a few kilobytes finds them, and writing
-- a row costs nothing more.

CREATE INDEX CONCURRENTLY IF NOT EXISTS chat_messages_by_time
    ON chat_messages USING brin (received_at timestamptz_minmax_multi_ops) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX CONCURRENTLY IF NOT EXISTS media_objects_by_time
    ON media_objects USING brin (stored_at timestamptz_minmax_multi_ops) WITH (pages_per_range = 32, autosummarize = on);
