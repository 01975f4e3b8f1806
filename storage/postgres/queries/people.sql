-- name: add_person
-- A new person, unless the name is taken.
INSERT INTO people (person_id, name, password) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING RETURNING person_id;

-- name: person_by_name
-- Who logs in under a name.
SELECT person_id, name, password FROM people WHERE name = $1;

-- name: list_people
-- People and their roles.
SELECT p.person_id, p.name, p.password IS NOT NULL AS has_password, p.created_at, r.tenant_id, r.role
FROM people p LEFT JOIN people_roles r USING (person_id)
WHERE $1::text IS NULL OR r.tenant_id IN ($1, '*')
ORDER BY p.name, r.tenant_id;

-- name: members
-- Who may see a tenant, their role there and at every one, whether at others too, and their live sessions.
SELECT p.person_id, p.name, p.password IS NOT NULL AS has_password, p.created_at,
       max(r.role) FILTER (WHERE r.tenant_id = $1) AS role, max(r.role) FILTER (WHERE r.tenant_id = '*') AS role_everywhere,
       EXISTS (SELECT 1 FROM people_roles o WHERE o.person_id = p.person_id AND o.tenant_id NOT IN ($1, '*')) AS has_others,
       (SELECT count(*) FROM people_sessions s WHERE s.person_id = p.person_id
          AND s.seen_at > now() - make_interval(secs => $2) AND s.began_at > now() - make_interval(secs => $3)) AS sessions,
       (SELECT max(s.seen_at) FROM people_sessions s WHERE s.person_id = p.person_id) AS seen_at
FROM people p JOIN people_roles r USING (person_id) WHERE r.tenant_id IN ($1, '*') GROUP BY p.person_id ORDER BY p.name;

-- name: set_password
-- Replaces a password.
UPDATE people SET password = $2 WHERE person_id = $1;

-- name: remove_person
-- Ends a person with roles, sessions and links.
DELETE FROM people WHERE name = $1 RETURNING person_id;

-- name: set_role
-- Gives a person a role at a tenant, in place of the one before.
INSERT INTO people_roles (tenant_id, person_id, role) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, person_id) DO UPDATE SET role = EXCLUDED.role;

-- name: end_role
-- Takes the role of a person at a tenant away.
DELETE FROM people_roles WHERE tenant_id = $1 AND person_id = $2 RETURNING role;

-- name: roles_of_person
-- Where a person has which role.
SELECT tenant_id, role FROM people_roles WHERE person_id = $1 ORDER BY tenant_id;

-- name: begin_session
-- A session from now on.
INSERT INTO people_sessions (session_sha256, person_id) VALUES ($1, $2);

-- name: session
-- The person of a session that is neither idle for too long nor too old, with the roles at tenants that are there.
SELECT p.person_id, p.name, s.seen_at, now() AS now,
       ARRAY(SELECT t.tenant_id || ':' || r.role FROM people_roles r JOIN tenants t ON r.tenant_id IN (t.tenant_id, '*')
             WHERE r.person_id = p.person_id AND t.removed_at IS NULL ORDER BY t.tenant_id) AS roles,
       EXISTS (SELECT 1 FROM people_roles r WHERE r.person_id = p.person_id AND r.tenant_id = '*' AND r.role = 'admin') AS is_chief
FROM people_sessions s JOIN people p USING (person_id)
WHERE s.session_sha256 = $1 AND s.seen_at > now() - make_interval(secs => $2) AND s.began_at > now() - make_interval(secs => $3);

-- name: see_session
-- A session is in use.
UPDATE people_sessions SET seen_at = now() WHERE session_sha256 = $1;

-- name: end_session
-- A person logs out.
DELETE FROM people_sessions WHERE session_sha256 = $1;

-- name: end_sessions_of
-- Every session of a person ends.
DELETE FROM people_sessions WHERE person_id = $1;

-- name: sweep_sessions
-- Sessions that are over, and all but the newest of one person.
DELETE FROM people_sessions WHERE seen_at <= now() - make_interval(secs => $2) OR began_at <= now() - make_interval(secs => $3)
   OR session_sha256 IN (SELECT session_sha256 FROM people_sessions WHERE person_id = $1 ORDER BY seen_at DESC OFFSET $4);

-- name: add_link
-- A login link, stored as a digest.
INSERT INTO login_links (link_sha256, person_id, ends_at) VALUES ($1, $2, now() + make_interval(secs => $3));

-- name: use_link
-- The person of a link that is not over. The link ends with it.
DELETE FROM login_links WHERE link_sha256 = $1 AND ends_at > now() RETURNING person_id;

-- name: end_links_of
-- Every login link of a person ends.
DELETE FROM login_links WHERE person_id = $1;

-- name: sweep_links
-- Links that are over.
DELETE FROM login_links WHERE ends_at <= now();

-- name: failures
-- Failed logins by bucket, within the time.
SELECT bucket, failures, extract(epoch FROM since + make_interval(secs => $2) - now())::float8 AS left_seconds
FROM login_failures WHERE bucket = ANY($1::bytea[]) AND since > now() - make_interval(secs => $2);

-- name: count_failure
-- One more failed login in each bucket, and how many that makes; a bucket that is over begins again.
INSERT INTO login_failures (bucket, failures, since)
SELECT bucket, 1, now() FROM unnest($1::bytea[]) AS buckets (bucket) ORDER BY bucket
ON CONFLICT (bucket) DO UPDATE SET
    failures = CASE WHEN login_failures.since > now() - make_interval(secs => $2) THEN login_failures.failures + 1 ELSE 1 END,
    since = CASE WHEN login_failures.since > now() - make_interval(secs => $2) THEN login_failures.since ELSE now() END
RETURNING bucket, failures, extract(epoch FROM since + make_interval(secs => $2) - now())::float8 AS left_seconds;

-- name: uncount_failure
-- A login that was counted in advance succeeded.
UPDATE login_failures SET failures = failures - 1 WHERE bucket = ANY($1::bytea[]) AND failures > 0;

-- name: forget_failures
-- A login succeeded: these buckets begin again.
DELETE FROM login_failures WHERE bucket = ANY($1::bytea[]);

-- name: sweep_failures
-- Buckets that are over, and the oldest beyond a number.
DELETE FROM login_failures WHERE since <= now() - make_interval(secs => $1)
   OR bucket IN (SELECT bucket FROM login_failures ORDER BY since DESC OFFSET $2);

-- name: unmask
-- A conversation is shown to a session for some time.
INSERT INTO unmasked_conversations (tenant_id, conversation_id, session_sha256, ends_at)
VALUES ($1, $2, $3, now() + make_interval(secs => $4))
ON CONFLICT (tenant_id, conversation_id, session_sha256) DO UPDATE SET ends_at = EXCLUDED.ends_at;

-- name: is_unmasked
-- Whether a session sees a conversation.
SELECT EXISTS (SELECT 1 FROM unmasked_conversations
               WHERE tenant_id = $1 AND conversation_id = $2 AND session_sha256 = $3 AND ends_at > now());

-- name: write_audit
-- Who did what: a person of the console, or whoever runs the command.
INSERT INTO audit_log (tenant_id, action, detail, actor)
VALUES ($1, $2, $3, coalesce(nullif($4, ''), nullif(current_setting('sensorium.actor', true), ''), ''));
