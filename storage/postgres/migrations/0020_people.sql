-- People who use the console: roles per tenant, sessions, login links, failed logins, and what was unmasked for whom.

-- `name` is what they log in with. Without a password only a login link lets them in.
CREATE TABLE people (
    person_id  text        PRIMARY KEY,
    name       text        NOT NULL UNIQUE,
    password   text,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- tenant_id '*' stands for every tenant.
CREATE TABLE people_roles (
    tenant_id text NOT NULL,
    person_id text NOT NULL REFERENCES people ON DELETE CASCADE,
    role      text NOT NULL CHECK (role IN ('viewer', 'reader', 'operator', 'admin')),
    PRIMARY KEY (tenant_id, person_id)
);
CREATE INDEX people_roles_by_person ON people_roles (person_id);

CREATE TABLE people_sessions (
    session_sha256 bytea       PRIMARY KEY,
    person_id      text        NOT NULL REFERENCES people ON DELETE CASCADE,
    began_at       timestamptz NOT NULL DEFAULT now(),
    seen_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX people_sessions_by_person ON people_sessions (person_id, seen_at);

CREATE TABLE login_links (
    link_sha256 bytea       PRIMARY KEY,
    person_id   text        NOT NULL REFERENCES people ON DELETE CASCADE,
    ends_at     timestamptz NOT NULL
);

-- A bucket is the digest of an account, of an address, or of both.
CREATE TABLE login_failures (
    bucket   bytea       PRIMARY KEY,
    failures integer     NOT NULL,
    since    timestamptz NOT NULL
);
CREATE INDEX login_failures_since ON login_failures (since);

CREATE TABLE unmasked_conversations (
    tenant_id       text        NOT NULL,
    conversation_id text        NOT NULL,
    session_sha256  bytea       NOT NULL REFERENCES people_sessions ON DELETE CASCADE,
    ends_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, session_sha256)
);
