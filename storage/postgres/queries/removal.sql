-- Deletes the data of a removed tenant in portions. Used by streams/repair/removal.py. The
-- statements `delete_some_…` delete up to $2 rows and are repeated until nothing is left.

-- name: some_messages
-- Returns up to $2 messages of a tenant that are to be deleted next.
SELECT message_key, conversation_id FROM chat_messages WHERE tenant_id = $1 LIMIT $2;

-- name: delete_messages
-- Deletes these messages with their steps and file rows.
WITH locked AS (SELECT message_key FROM unnest($2::text[]) WITH ORDINALITY AS one (message_key, nth)
                JOIN chat_messages m USING (message_key) WHERE m.tenant_id = $1 ORDER BY one.nth FOR UPDATE OF m),
     gone AS (DELETE FROM chat_messages m USING locked WHERE m.tenant_id = $1 AND m.message_key = locked.message_key),
     steps AS (DELETE FROM message_steps WHERE tenant_id = $1 AND message_key = ANY($2::text[]))
DELETE FROM media_objects WHERE tenant_id = $1 AND message_key = ANY($2::text[]);

-- name: delete_some_inbound_messages
-- Deletes arrivals that earlier versions of the program wrote.
DELETE FROM inbound_messages WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbound_messages WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_arrival_records
-- Deletes arrivals by id rather than by ctid, because a ctid is not unique over the partitions of
-- the table.
DELETE FROM arrival_records WHERE tenant_id = $1 AND (provider, provider_message_id) IN (
    SELECT provider, provider_message_id FROM arrival_records WHERE tenant_id = $1 LIMIT $2);

-- name: delete_some_message_steps
-- Deletes steps whose message is already deleted.
DELETE FROM message_steps WHERE ctid = ANY(ARRAY(SELECT ctid FROM message_steps WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_conversation_aliases
-- Deletes aliases of the tenant's conversations.
DELETE FROM conversation_aliases WHERE ctid = ANY(ARRAY(SELECT ctid FROM conversation_aliases WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_media_objects
-- Deletes file rows whose message is already deleted.
DELETE FROM media_objects WHERE ctid = ANY(ARRAY(SELECT ctid FROM media_objects WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_quarantined_messages
-- Deletes quarantined records with their bytes.
DELETE FROM quarantined_messages WHERE ctid = ANY(ARRAY(SELECT ctid FROM quarantined_messages WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_ai_results
-- Deletes recorded answers of models about the tenant's files.
DELETE FROM ai_results WHERE ctid = ANY(ARRAY(SELECT ctid FROM ai_results WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_erased_messages
-- Deletes the digests of erased messages. Nothing of a removed tenant is stored, so the list is no
-- longer needed.
DELETE FROM erased_messages WHERE ctid = ANY(ARRAY(SELECT ctid FROM erased_messages WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_job_attempts
-- Deletes notes on why the tenant's jobs waited or failed.
DELETE FROM job_attempts WHERE ctid = ANY(ARRAY(SELECT ctid FROM job_attempts WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_webhook_deliveries
-- Deletes counts of the tenant's webhook deliveries.
DELETE FROM webhook_deliveries WHERE ctid = ANY(ARRAY(SELECT ctid FROM webhook_deliveries WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_repairs
-- Deletes the tenant's repairs.
DELETE FROM repairs WHERE ctid = ANY(ARRAY(SELECT ctid FROM repairs WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_repair_tries
-- Deletes counts of repair tries.
DELETE FROM repair_tries WHERE ctid = ANY(ARRAY(SELECT ctid FROM repair_tries WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_people_roles
-- Deletes people's roles at the tenant.
DELETE FROM people_roles WHERE ctid = ANY(ARRAY(SELECT ctid FROM people_roles WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_unmasked_conversations
-- Deletes which conversations were shown unmasked.
DELETE FROM unmasked_conversations WHERE ctid = ANY(ARRAY(SELECT ctid FROM unmasked_conversations WHERE tenant_id = $1 LIMIT $2));

-- name: forget_all_looks
-- Replaces audit log details that say which conversations, files and records of the tenant
-- were looked at, and why. Who looked and when stays in the log.
UPDATE audit_log SET detail = 'erased'
WHERE tenant_id = $1 AND action IN ('conversation_unmasked', 'media_seen', 'context_seen', 'record_seen') AND detail <> 'erased';
