-- By which endpoint a message came in: the key of a provider is used for its files only if one received it.

ALTER TABLE chat_messages ADD COLUMN endpoint_id text;
