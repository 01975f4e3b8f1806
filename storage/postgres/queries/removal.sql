-- name: some_messages
-- The next messages of a tenant, to be deleted.
SELECT message_key, conversation_id FROM chat_messages WHERE tenant_id = $1 LIMIT $2;

-- name: delete_messages
-- These messages with their steps, files and arrivals.
WITH gone AS (DELETE FROM chat_messages WHERE tenant_id = $1 AND message_key = ANY($2::text[])),
     steps AS (DELETE FROM message_steps WHERE tenant_id = $1 AND message_key = ANY($2::text[]))
DELETE FROM media_objects WHERE tenant_id = $1 AND message_key = ANY($2::text[]);

-- name: delete_some_inbound_messages
-- Some of what a tenant's arrivals are remembered by.
DELETE FROM inbound_messages WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbound_messages WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_arrival_records
-- Some arrivals of a tenant, by their ids: a place in a table means nothing where there are several.
DELETE FROM arrival_records WHERE tenant_id = $1 AND (provider, provider_message_id) IN (
    SELECT provider, provider_message_id FROM arrival_records WHERE tenant_id = $1 LIMIT $2);

-- name: delete_some_message_steps
-- Some steps whose message is gone.
DELETE FROM message_steps WHERE ctid = ANY(ARRAY(SELECT ctid FROM message_steps WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_conversation_aliases
-- Some names of a tenant's conversations.
DELETE FROM conversation_aliases WHERE ctid = ANY(ARRAY(SELECT ctid FROM conversation_aliases WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_media_objects
-- Some rows of files whose message is gone.
DELETE FROM media_objects WHERE ctid = ANY(ARRAY(SELECT ctid FROM media_objects WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_quarantined_messages
-- Some quarantined records of a tenant, with the bytes they hold.
DELETE FROM quarantined_messages WHERE ctid = ANY(ARRAY(SELECT ctid FROM quarantined_messages WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_ai_results
-- Some recorded answers of models about a tenant's files.
DELETE FROM ai_results WHERE ctid = ANY(ARRAY(SELECT ctid FROM ai_results WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_erased_messages
-- Some of the list of erased messages: of a removed tenant nothing is stored, listed or not.
DELETE FROM erased_messages WHERE ctid = ANY(ARRAY(SELECT ctid FROM erased_messages WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_job_attempts
-- Some notes on why a tenant's jobs waited.
DELETE FROM job_attempts WHERE ctid = ANY(ARRAY(SELECT ctid FROM job_attempts WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_webhook_deliveries
-- Some counts of what a tenant's webhooks were answered.
DELETE FROM webhook_deliveries WHERE ctid = ANY(ARRAY(SELECT ctid FROM webhook_deliveries WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_repairs
-- Some repairs that were asked for in the console.
DELETE FROM repairs WHERE ctid = ANY(ARRAY(SELECT ctid FROM repairs WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_repair_tries
-- Some counts of tries of repairs.
DELETE FROM repair_tries WHERE ctid = ANY(ARRAY(SELECT ctid FROM repair_tries WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_people_roles
-- Some roles of people for the tenant.
DELETE FROM people_roles WHERE ctid = ANY(ARRAY(SELECT ctid FROM people_roles WHERE tenant_id = $1 LIMIT $2));

-- name: delete_some_unmasked_conversations
-- Some conversations that were shown unmasked.
DELETE FROM unmasked_conversations WHERE ctid = ANY(ARRAY(SELECT ctid FROM unmasked_conversations WHERE tenant_id = $1 LIMIT $2));

-- name: forget_all_looks
-- Takes out of the audit log which conversations, files and records of a tenant were looked at, and why. Who looked and when stays.
UPDATE audit_log SET detail = 'erased'
WHERE tenant_id = $1 AND action IN ('conversation_unmasked', 'media_seen', 'context_seen', 'record_seen') AND detail <> 'erased';
