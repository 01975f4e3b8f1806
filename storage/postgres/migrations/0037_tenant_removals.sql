-- Tenants that people remove in the console, and how far the deletion of their data has come.

CREATE TABLE tenant_removals (
    tenant_id  text        PRIMARY KEY,
    person     text        NOT NULL,
    began_at   timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    deleted    jsonb       NOT NULL DEFAULT '{}',
    holder     text        NOT NULL DEFAULT '',
    held_until timestamptz,
    trouble    text        NOT NULL DEFAULT ''
);
