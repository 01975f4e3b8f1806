-- A replay looks for the files its message has already.

CREATE INDEX media_objects_by_message ON media_objects (tenant_id, message_key);
