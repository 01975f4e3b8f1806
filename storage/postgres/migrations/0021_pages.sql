-- outside a transaction
-- What the console's pages look for: the newest messages of a tenant, and words in texts, transcripts and descriptions.
CREATE INDEX CONCURRENTLY IF NOT EXISTS chat_messages_newest ON chat_messages (tenant_id, received_at, message_key);

CREATE OR REPLACE FUNCTION message_words(content text, attributes jsonb) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector('simple'::regconfig,
    left(coalesce(content, ''), 50000) || ' ' || left(coalesce(attributes ->> 'transcript', ''), 50000) || ' ' ||
    left(coalesce(attributes ->> 'description', ''), 50000));

CREATE INDEX CONCURRENTLY IF NOT EXISTS chat_messages_words ON chat_messages USING gin (message_words(content, content_attributes));
