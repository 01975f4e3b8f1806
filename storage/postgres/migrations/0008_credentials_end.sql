-- Credentials that end: keys have an id and a name, an endpoint may keep its former token for a while, tenants can be removed.

ALTER TABLE api_keys
    ADD COLUMN key_id text NOT NULL GENERATED ALWAYS AS ('key_' || left(encode(key_sha256, 'hex'), 16)) STORED UNIQUE,
    ADD COLUMN name   text NOT NULL DEFAULT '';

ALTER TABLE webhook_endpoints
    ADD COLUMN former_token_sha256 bytea UNIQUE,
    ADD COLUMN former_token_until  timestamptz;

-- The row of a removed tenant stays, so that records which arrive late are recognised. `data_kept`: its messages stay readable in SQL.
ALTER TABLE tenants
    ADD COLUMN removed_at timestamptz,
    ADD COLUMN data_kept  boolean NOT NULL DEFAULT false;
CREATE INDEX tenants_removed ON tenants (tenant_id) WHERE removed_at IS NOT NULL;
