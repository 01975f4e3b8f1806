-- name: find
-- The file of an attachment that was stored already: by its address, or by its index where the address differs in its signature only.
SELECT object_key, mime_type, bytes FROM media_objects
WHERE tenant_id = $1 AND message_key = $2
  AND (original_url = $4 OR (attachment_index = $3 AND split_part(original_url, '?', 1) = split_part($4, '?', 1)))
ORDER BY (original_url = $4) DESC, stored_at DESC
LIMIT 1;
