-- name: readable
-- Tables and views of the schema that a reader may read, of those that exist.
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v') AND c.relname = ANY($1::text[])
ORDER BY c.relname;

-- name: role
-- A role by name: whether it may log in, and whether it can do more than read.
SELECT rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS is_mighty,
       shobj_description(oid, 'pg_authid') AS comment
FROM pg_roles WHERE rolname = $1;

-- name: readers
-- Roles that `readers add` made for this schema, and whether one is at work now.
SELECT rolname, (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = r.rolname) AS sessions
FROM pg_roles r WHERE shobj_description(oid, 'pg_authid') = $1 ORDER BY rolname;
