-- People of the console: accounts, roles, sessions, login links and failed logins. Used by
-- storage/postgres/people.py.

-- name: add_person
-- Adds a person. Returns no row if the name is taken.
INSERT INTO people (person_id, name, password) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING RETURNING person_id;

-- name: person_by_name
-- Returns the person with a name. A NULL password means that only a login link lets the person in.
SELECT person_id, name, password FROM people WHERE name = $1;

-- name: list_people
-- Returns people with their roles, one row per role: those with a role at a tenant ($1) or at every
-- tenant, or all people ($1 NULL).
SELECT p.person_id, p.name, p.password IS NOT NULL AS has_password, p.created_at, r.tenant_id, r.role
FROM people p LEFT JOIN people_roles r USING (person_id)
WHERE $1::text IS NULL OR r.tenant_id IN ($1, '*')
ORDER BY p.name, r.tenant_id;

-- name: members
-- Returns who may see a tenant: their role there and at every tenant, whether they have roles at
-- other tenants, and how many of their sessions are live.
SELECT p.person_id, p.name, p.password IS NOT NULL AS has_password, p.created_at,
       max(r.role) FILTER (WHERE r.tenant_id = $1) AS role, max(r.role) FILTER (WHERE r.tenant_id = '*') AS role_everywhere,
       EXISTS (SELECT 1 FROM people_roles o WHERE o.person_id = p.person_id AND o.tenant_id NOT IN ($1, '*')) AS has_others,
       (SELECT count(*) FROM people_sessions s WHERE s.person_id = p.person_id
          AND s.seen_at > now() - make_interval(secs => $2) AND s.began_at > now() - make_interval(secs => $3)) AS sessions,
       (SELECT max(s.seen_at) FROM people_sessions s WHERE s.person_id = p.person_id) AS seen_at
FROM people p JOIN people_roles r USING (person_id) WHERE r.tenant_id IN ($1, '*') GROUP BY p.person_id ORDER BY p.name;

-- name: set_password
-- Replaces a person's password hash by one from a command.
UPDATE people SET password = $2, is_own_password = false WHERE person_id = $1;

-- name: set_own_password
-- Replaces the password hash of a person by one that the person chose. Returns no row if the former
-- one is not $3 (NULL for none) any more.
UPDATE people SET password = $2, is_own_password = true
WHERE person_id = $1 AND password IS NOT DISTINCT FROM $3 RETURNING person_id;

-- name: end_own_password
-- Removes a password that the person chose. Returns a row unless the password is from a command.
UPDATE people SET password = NULL, is_own_password = false
WHERE person_id = $1 AND (password IS NULL OR is_own_password) RETURNING person_id;

-- name: account
-- Returns whether a person has a password, and how many of their sessions are live.
SELECT p.password IS NOT NULL AS has_password,
       (SELECT count(*) FROM people_sessions s WHERE s.person_id = p.person_id
          AND s.seen_at > now() - make_interval(secs => $2) AND s.began_at > now() - make_interval(secs => $3)) AS sessions
FROM people p WHERE p.person_id = $1;

-- name: remove_person
-- Deletes a person. Roles, sessions and links are deleted with it by their foreign keys.
DELETE FROM people WHERE name = $1 RETURNING person_id;

-- name: set_role
-- Gives a person a role at a tenant ('*' for every tenant). Replaces an earlier role.
INSERT INTO people_roles (tenant_id, person_id, role) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, person_id) DO UPDATE SET role = EXCLUDED.role;

-- name: end_role
-- Removes a person's role at a tenant. Returns no row if there was none.
DELETE FROM people_roles WHERE tenant_id = $1 AND person_id = $2 RETURNING role;

-- name: roles_of_person
-- Returns a person's roles by tenant.
SELECT tenant_id, role FROM people_roles WHERE person_id = $1 ORDER BY tenant_id;

-- name: begin_session
-- Starts a session now.
INSERT INTO people_sessions (session_sha256, person_id) VALUES ($1, $2);

-- name: session
-- Returns the person of a session that is neither idle longer than $2 seconds nor older than $3
-- seconds. The roles are those at one tenant ($4), those that were given at single tenants, and
-- those at every tenant, the first $5 by name of each, at tenants that exist and are not removed.
SELECT p.person_id, p.name, s.seen_at, now() AS now,
       ARRAY(SELECT t.tenant_id || ':' || r.role FROM tenants t JOIN people_roles r ON r.tenant_id IN (t.tenant_id, '*')
             WHERE t.tenant_id = $4 AND r.person_id = p.person_id AND t.removed_at IS NULL)
       || ARRAY(SELECT t.tenant_id || ':' || r.role FROM people_roles r JOIN tenants t USING (tenant_id)
             WHERE r.person_id = p.person_id AND t.removed_at IS NULL ORDER BY t.tenant_id LIMIT $5)
       || ARRAY(SELECT t.tenant_id || ':' || r.role FROM tenants t JOIN people_roles r ON r.tenant_id = '*'
             WHERE r.person_id = p.person_id AND t.removed_at IS NULL ORDER BY t.tenant_id LIMIT $5) AS roles,
       EXISTS (SELECT 1 FROM people_roles r WHERE r.person_id = p.person_id AND r.tenant_id = '*' AND r.role = 'admin') AS is_chief
FROM people_sessions s JOIN people p USING (person_id)
WHERE s.session_sha256 = $1 AND s.seen_at > now() - make_interval(secs => $2) AND s.began_at > now() - make_interval(secs => $3);

-- name: tenants_of_person
-- Returns the tenants that a person may see, by name, with the person's roles there: those after a
-- name ($3) whose name contains a text ($2), at most $4 (NULL for all).
SELECT t.tenant_id, array_agg(r.role) AS roles
FROM tenants t JOIN people_roles r ON r.tenant_id IN (t.tenant_id, '*')
WHERE r.person_id = $1 AND t.removed_at IS NULL AND strpos(t.tenant_id, $2) > 0 AND t.tenant_id > $3
GROUP BY t.tenant_id ORDER BY t.tenant_id LIMIT $4;

-- name: see_session
-- Records that a session was used now.
UPDATE people_sessions SET seen_at = now() WHERE session_sha256 = $1;

-- name: end_session
-- Ends a session, at logout.
DELETE FROM people_sessions WHERE session_sha256 = $1;

-- name: end_sessions_of
-- Ends every session of a person and returns them.
DELETE FROM people_sessions WHERE person_id = $1 RETURNING session_sha256;

-- name: sweep_sessions
-- Deletes expired sessions of everybody, and all but the newest $4 sessions of one person, or $5 if
-- the name of the account begins with $6.
DELETE FROM people_sessions WHERE seen_at <= now() - make_interval(secs => $2) OR began_at <= now() - make_interval(secs => $3)
   OR session_sha256 IN (
       SELECT session_sha256 FROM people_sessions WHERE person_id = $1 ORDER BY seen_at DESC
       OFFSET (SELECT CASE WHEN starts_with(name, $6) THEN $5::bigint ELSE $4::bigint END FROM people WHERE person_id = $1));

-- name: add_link
-- Adds a login link, stored as a digest, that is valid for $3 seconds.
INSERT INTO login_links (link_sha256, person_id, ends_at) VALUES ($1, $2, now() + make_interval(secs => $3));

-- name: use_link
-- Uses up a login link that has not expired and returns its person. Deleting it makes sure that it
-- works only once.
DELETE FROM login_links WHERE link_sha256 = $1 AND ends_at > now() RETURNING person_id;

-- name: end_links_of
-- Deletes every login link of a person.
DELETE FROM login_links WHERE person_id = $1;

-- name: sweep_links
-- Deletes expired login links.
DELETE FROM login_links WHERE ends_at <= now();

-- name: failures
-- Returns the failed logins of these buckets within the last $2 seconds. A bucket is a digest of an
-- account, an address, or both.
SELECT bucket, failures, extract(epoch FROM since + make_interval(secs => $2) - now())::float8 AS left_seconds
FROM login_failures WHERE bucket = ANY($1::bytea[]) AND since > now() - make_interval(secs => $2);

-- name: count_failure
-- Counts one more failed login in each bucket and returns the new numbers. A bucket older than $2
-- seconds starts again at 1. Buckets are locked in order, so that two logins cannot deadlock.
INSERT INTO login_failures (bucket, failures, since)
SELECT bucket, 1, now() FROM unnest($1::bytea[]) AS buckets (bucket) ORDER BY bucket
ON CONFLICT (bucket) DO UPDATE SET
    failures = CASE WHEN login_failures.since > now() - make_interval(secs => $2) THEN login_failures.failures + 1 ELSE 1 END,
    since = CASE WHEN login_failures.since > now() - make_interval(secs => $2) THEN login_failures.since ELSE now() END
RETURNING bucket, failures, extract(epoch FROM since + make_interval(secs => $2) - now())::float8 AS left_seconds;

-- name: uncount_failure
-- Takes back failures that were counted in advance, because the login succeeded.
UPDATE login_failures SET failures = failures - 1 WHERE bucket = ANY($1::bytea[]) AND failures > 0;

-- name: forget_failures
-- Deletes these buckets after a successful login.
DELETE FROM login_failures WHERE bucket = ANY($1::bytea[]);

-- name: sweep_failures
-- Deletes expired buckets, and the oldest beyond the newest $2.
DELETE FROM login_failures WHERE since <= now() - make_interval(secs => $1)
   OR bucket IN (SELECT bucket FROM login_failures ORDER BY since DESC OFFSET $2);

-- name: unmask
-- Shows a conversation unmasked to a session for $4 seconds. Doing it again sets the new end.
INSERT INTO unmasked_conversations (tenant_id, conversation_id, session_sha256, ends_at)
VALUES ($1, $2, $3, now() + make_interval(secs => $4))
ON CONFLICT (tenant_id, conversation_id, session_sha256) DO UPDATE SET ends_at = EXCLUDED.ends_at;

-- name: is_unmasked
-- Returns whether a session sees a conversation unmasked now.
SELECT EXISTS (SELECT 1 FROM unmasked_conversations
               WHERE tenant_id = $1 AND conversation_id = $2 AND session_sha256 = $3 AND ends_at > now());

-- name: write_audit
-- Adds an audit log entry. The actor is the person of the console ($4) or, if that is empty,
-- whoever runs the command.
INSERT INTO audit_log (tenant_id, action, detail, actor)
VALUES ($1, $2, $3, coalesce(nullif($4, ''), nullif(current_setting('sensorium.actor', true), ''), ''));
