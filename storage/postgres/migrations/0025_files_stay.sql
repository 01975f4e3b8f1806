-- A replay of a message's first delivery alone does not know of the files that came later. What a row shows of stored files stays.

CREATE FUNCTION lost_files(shown jsonb, new jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_agg(file ORDER BY (file ->> 'index')::integer)
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(shown -> 'attachments') = 'array' THEN shown -> 'attachments' ELSE '[]' END) AS file
    WHERE file ->> 'url' IS NOT NULL AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(CASE WHEN jsonb_typeof(new -> 'attachments') = 'array' THEN new -> 'attachments' ELSE '[]' END) AS one
        WHERE one -> 'index' = file -> 'index')
$$;

CREATE FUNCTION with_files(shown jsonb, new jsonb, lost jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN lost IS NULL THEN new ELSE
        (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(shown) WHERE key IN ('description', 'transcript'))
        || new || jsonb_build_object('attachments', coalesce(new -> 'attachments', '[]') || lost) END
$$;
