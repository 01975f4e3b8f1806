-- Erasing single messages, and remembering by digest that they must not be stored again
-- (docs/decisions/0020). Used by storage/postgres/erased.py and streams/repair/erasure.py.

-- name: erasing_tenants
-- Returns those of these tenants that have ever erased a message. The sink skips the next query for
-- all others.
SELECT asked.tenant_id FROM unnest($1::text[]) AS asked (tenant_id)
WHERE EXISTS (SELECT 1 FROM erased_messages e WHERE e.tenant_id = asked.tenant_id);

-- name: erased
-- Returns those of these messages, given by digest, that were erased.
SELECT tenant_id, key_digest FROM unnest($1::text[], $2::bytea[]) AS asked (tenant_id, key_digest)
JOIN erased_messages USING (tenant_id, key_digest);

-- name: remember_erased
-- Records these messages as erased: from this commit on, nothing of them is stored. A removed
-- tenant needs no such list, because nothing of it is stored at all.
INSERT INTO erased_messages (tenant_id, key_digest)
SELECT tenant_id, key_digest FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS ended (tenant_id, key_digest, nth)
WHERE NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = ended.tenant_id AND t.removed_at IS NOT NULL)
ORDER BY ended.nth
ON CONFLICT DO NOTHING;

-- name: some_erased
-- Returns the digests of the next $4 erased messages after ($2, $3), of one tenant or of all ($1 NULL).
SELECT tenant_id, key_digest FROM erased_messages
WHERE ($1::text IS NULL OR tenant_id = $1) AND (tenant_id, key_digest) > ($2, $3)
ORDER BY tenant_id, key_digest LIMIT $4;

-- name: about_erased
-- Returns about how many messages were erased, as the last ANALYZE saw it. Counting them would read the whole table.
SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'erased_messages'::regclass;

-- name: erased_since
-- Returns when a message was erased; no row if it was not.
SELECT erased_at FROM erased_messages WHERE tenant_id = $1 AND key_digest = $2;

-- name: conversations_of
-- Returns the conversations to which these messages belong.
SELECT DISTINCT tenant_id, conversation_id FROM unnest($1::text[], $2::text[]) AS one (tenant_id, message_key)
JOIN chat_messages USING (tenant_id, message_key);

-- name: delete_answers_unshown
-- Deletes recorded answers about these contents if no message of the tenant refers to them any
-- more.
DELETE FROM ai_results WHERE (tenant_id, sha256) IN (SELECT * FROM unnest($1::text[], $2::text[]))
  AND NOT EXISTS (SELECT 1 FROM media_objects m WHERE m.tenant_id = ai_results.tenant_id AND m.sha256 = ai_results.sha256);

-- name: lock_messages
-- Locks the rows of these messages one after another, in the given order, before anything about
-- them is deleted. A DELETE with a join takes them in any order.
SELECT FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS one (tenant_id, message_key, nth)
JOIN chat_messages m ON m.tenant_id = one.tenant_id AND m.message_key = one.message_key
ORDER BY one.nth FOR UPDATE OF m;

-- name: delete_erased
-- Deletes everything stored about these messages and returns how many rows of each kind: messages,
-- steps of earlier versions of the program, file rows, arrivals and quarantined records. Notes on
-- jobs and counts of repair tries are deleted too.
WITH gone AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
                  AS one (tenant_id, message_key, provider, provider_message_id)),
     messages AS (DELETE FROM chat_messages USING gone WHERE chat_messages.tenant_id = gone.tenant_id
                      AND chat_messages.message_key = gone.message_key RETURNING 1),
     steps AS (DELETE FROM message_steps USING gone WHERE message_steps.tenant_id = gone.tenant_id
                      AND message_steps.message_key = gone.message_key RETURNING 1),
     objects AS (DELETE FROM media_objects USING gone WHERE media_objects.tenant_id = gone.tenant_id
                      AND media_objects.message_key = gone.message_key RETURNING 1),
     arrivals AS (DELETE FROM inbound_messages i USING gone WHERE i.tenant_id = gone.tenant_id
                      AND i.provider = gone.provider AND i.provider_message_id = gone.provider_message_id RETURNING 1),
     newer_arrivals AS (DELETE FROM arrival_records i USING gone WHERE i.tenant_id = gone.tenant_id
                      AND i.provider = gone.provider AND i.provider_message_id = gone.provider_message_id RETURNING 1),
     attempts AS (DELETE FROM job_attempts USING gone WHERE job_attempts.tenant_id = gone.tenant_id
                      AND job_attempts.message_key = gone.message_key RETURNING 1),
     tries AS (DELETE FROM repair_tries USING gone WHERE repair_tries.tenant_id = gone.tenant_id
                      AND repair_tries.message_key = gone.message_key RETURNING 1),
     refused AS (DELETE FROM quarantined_messages USING gone WHERE quarantined_messages.tenant_id = gone.tenant_id
                      AND quarantined_messages.record_key = gone.message_key RETURNING 1)
SELECT (SELECT count(*) FROM messages) AS messages, (SELECT count(*) FROM steps) AS steps,
       (SELECT count(*) FROM objects) AS files, (SELECT count(*) FROM arrivals) + (SELECT count(*) FROM newer_arrivals) AS arrivals,
       (SELECT count(*) FROM refused) AS quarantined;

-- name: contents_of
-- Returns the digests of the files that belong to these messages.
SELECT DISTINCT tenant_id, sha256 FROM unnest($1::text[], $2::text[]) AS one (tenant_id, message_key)
JOIN media_objects USING (tenant_id, message_key);

-- name: forget_looks
-- Replaces audit log details that name these messages, or conversations without any message left.
-- Who looked and when stays in the log.
WITH ended AS (
    SELECT one.tenant_id, one.conversation_id FROM unnest($3::text[], $4::text[]) AS one (tenant_id, conversation_id)
    WHERE NOT EXISTS (SELECT 1 FROM chat_messages m WHERE m.tenant_id = one.tenant_id AND m.conversation_id = one.conversation_id)
), named AS (
    SELECT tenant_id, conversation_id FROM ended
    UNION
    SELECT a.tenant_id, a.alias FROM conversation_aliases a JOIN ended e ON e.tenant_id = a.tenant_id AND e.conversation_id = a.conversation_id
)
UPDATE audit_log SET detail = 'erased'
WHERE tenant_id = ANY($1::text[]) AND (
    (action = 'media_seen' AND (tenant_id, regexp_replace(detail, ' file [0-9]+$', '')) IN (SELECT * FROM unnest($1::text[], $2::text[])))
    OR (action = 'conversation_unmasked' AND (tenant_id, split_part(detail, ': ', 1)) IN (SELECT named.tenant_id, named.conversation_id FROM named)));

-- name: delete_aliases_unused
-- Deletes the aliases of these conversations if no message of the conversation is left. Locks them
-- in the order in which the sink adds them.
WITH locked AS (
    SELECT a.tenant_id, a.alias, a.conversation_id FROM unnest($1::text[], $2::text[]) AS one (tenant_id, conversation_id)
    JOIN conversation_aliases a ON a.tenant_id = one.tenant_id AND a.conversation_id = one.conversation_id
    ORDER BY a.tenant_id COLLATE "C", a.alias COLLATE "C", a.conversation_id COLLATE "C" FOR UPDATE OF a
)
DELETE FROM conversation_aliases a USING locked
WHERE a.tenant_id = locked.tenant_id AND a.alias = locked.alias AND a.conversation_id = locked.conversation_id
  AND NOT EXISTS (SELECT 1 FROM chat_messages m WHERE m.tenant_id = a.tenant_id AND m.conversation_id = a.conversation_id);

-- name: holdings_of
-- Counts what is stored about messages, chosen by key ($2), conversation ($3) or sender of inbound
-- messages ($4). An answer is shared if a message outside the choice has the same content.
WITH chosen AS (
    SELECT message_key, conversation_id, status FROM chat_messages
    WHERE tenant_id = $1 AND (message_key = ANY($2::text[]) OR conversation_id = ANY($3::text[])
                              OR (sender_id = ANY($4::text[]) AND direction = 'inbound'))
), keys AS (SELECT message_key FROM chosen UNION SELECT unnest($2::text[])),
   files AS (SELECT o.* FROM media_objects o JOIN keys USING (message_key) WHERE o.tenant_id = $1),
   answers AS (SELECT a.sha256, EXISTS (SELECT 1 FROM media_objects o WHERE o.tenant_id = $1 AND o.sha256 = a.sha256
                                            AND o.message_key NOT IN (SELECT message_key FROM keys)) AS is_shared
               FROM ai_results a WHERE a.tenant_id = $1 AND a.sha256 IN (SELECT sha256 FROM files))
SELECT (SELECT count(*) FROM chosen) AS messages,
       (SELECT count(*) FROM chosen WHERE status = 'pending') AS unfinished,
       (SELECT count(DISTINCT conversation_id) FROM chosen) AS conversations,
       (SELECT count(*) FROM files) AS files,
       (SELECT coalesce(sum(bytes), 0)::bigint FROM files) AS file_bytes,
       (SELECT count(*) FROM answers WHERE NOT is_shared) AS model_answers,
       (SELECT count(*) FROM answers WHERE is_shared) AS shared_answers,
       (SELECT count(*) FROM quarantined_messages q WHERE q.tenant_id = $1 AND q.record_key IN (SELECT message_key FROM keys)) AS quarantined,
       (SELECT count(*) FROM inbound_messages i WHERE i.tenant_id = $1 AND i.message_key IN (SELECT message_key FROM keys))
           + (SELECT count(*) FROM keys, LATERAL (SELECT split_part(message_key, ':', 2) AS provider) AS of, arrival_records i
              WHERE i.tenant_id = $1 AND i.provider = of.provider
                AND i.provider_message_id = substr(keys.message_key, length($1) + length(of.provider) + 3)) AS arrivals,
       (SELECT count(*) FROM message_steps s WHERE s.tenant_id = $1 AND s.message_key IN (SELECT message_key FROM keys)) AS steps;

-- name: some_chosen
-- Returns the next $5 messages to erase, chosen as in `holdings_of`.
SELECT message_key, conversation_id FROM chat_messages
WHERE tenant_id = $1 AND (message_key = ANY($2::text[]) OR conversation_id = ANY($3::text[])
                          OR (sender_id = ANY($4::text[]) AND direction = 'inbound'))
ORDER BY message_key LIMIT $5;

-- name: files_of
-- Returns the stored files of these messages.
SELECT object_key, bytes FROM media_objects WHERE tenant_id = $1 AND message_key = ANY($2::text[]);

-- name: conversations_of_contact
-- Returns the conversations in which a contact (given by all its ids, $2) is the customer.
-- `is_shared` is true if other customers spoke there too. A conversation of one of the providers $3, whose
-- conversations have no id but their customer's, belongs to that customer alone, unless it is a group.
WITH spoke AS (
    SELECT conversation_id FROM chat_messages WHERE tenant_id = $1 AND sender_id = ANY($2::text[]) AND direction = 'inbound'
    UNION
    SELECT conversation_id FROM chat_messages
    WHERE tenant_id = $1 AND provider = ANY($3::text[]) AND substr(conversation_id, strpos(conversation_id, '~') + 1) = ANY($2::text[])
    UNION
    SELECT unnest(ARRAY[alias, conversation_id]) FROM conversation_aliases
    WHERE tenant_id = $1 AND (substr(alias, strpos(alias, '~') + 1) = ANY($2::text[])
                              OR substr(conversation_id, strpos(conversation_id, '~') + 1) = ANY($2::text[]))
)
SELECT conversation_id,
       conversation_id LIKE 'group~%' OR EXISTS (
           SELECT 1 FROM chat_messages m WHERE m.tenant_id = $1 AND m.conversation_id = spoke.conversation_id
               AND (NOT m.provider = ANY($3::text[]) OR m.conversation_id NOT LIKE '%~%') AND m.direction = 'inbound' AND NOT m.sender_id = ANY($2::text[])) AS is_shared
FROM spoke ORDER BY conversation_id;

-- name: forget_pages_seen
-- Takes out of the audit log which records of these messages were looked at, and these references to contexts. Who looked and when stays.
UPDATE audit_log SET detail = 'erased'
WHERE tenant_id = $1 AND (
    (action = 'record_seen' AND regexp_replace(detail, ' [^ ]+$', '') = ANY($2::text[]))
    OR (action = 'context_seen' AND detail = ANY($3::text[])));

-- name: conversations_left
-- Returns those of these conversations that still have a message.
SELECT DISTINCT conversation_id FROM chat_messages WHERE tenant_id = $1 AND conversation_id = ANY($2::text[]);
