-- Finds stored files again. Used by storage/postgres/media_objects.py.

-- name: find
-- Returns the stored file of an attachment: by its exact URL, or by its index if the URL differs
-- only after the question mark, where providers put a signature that changes.
SELECT object_key, mime_type, bytes FROM media_objects
WHERE tenant_id = $1 AND message_key = $2
  AND (original_url = $4 OR (attachment_index = $3 AND split_part(original_url, '?', 1) = split_part($4, '?', 1)))
ORDER BY (original_url = $4) DESC, stored_at DESC
LIMIT 1;
