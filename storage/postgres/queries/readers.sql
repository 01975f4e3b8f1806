-- Database roles for data teams. Used by storage/postgres/readers.py.

-- name: readable
-- Returns those of these tables and views that exist in the schema.
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v') AND c.relname = ANY($1::text[])
ORDER BY c.relname;

-- name: role
-- Returns whether a role may log in, and whether it has any privilege beyond reading (`is_mighty`).
SELECT rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS is_mighty,
       shobj_description(oid, 'pg_authid') AS comment
FROM pg_roles WHERE rolname = $1;

-- name: readers
-- Returns the roles that `sensorium readers add` made for this schema, and how many sessions each
-- has now. The roles are recognised by their comment ($1).
SELECT rolname, (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = r.rolname) AS sessions
FROM pg_roles r WHERE shobj_description(oid, 'pg_authid') = $1 ORDER BY rolname;
