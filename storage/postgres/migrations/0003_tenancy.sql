-- Tenants, endpoints, keys, generations, and who changed what. Secrets are encrypted by the program.

CREATE TABLE tenants (
    tenant_id  text        PRIMARY KEY,
    settings   bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE webhook_endpoints (
    tenant_id    text        NOT NULL REFERENCES tenants,
    endpoint_id  text        NOT NULL UNIQUE,
    provider     text        NOT NULL,
    token_sha256 bytea       NOT NULL UNIQUE,
    sealed       bytea       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, endpoint_id)
);

CREATE TABLE api_keys (
    tenant_id  text        NOT NULL REFERENCES tenants,
    key_sha256 bytea       NOT NULL UNIQUE,
    scope      text        NOT NULL CHECK (scope IN ('chat', 'read', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key_sha256)
);

CREATE TABLE generations (
    generation bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    command    text        NOT NULL,
    detail     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit_log (
    id        bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    tenant_id text        NOT NULL,
    action    text        NOT NULL,
    detail    text        NOT NULL,
    at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_log_by_tenant ON audit_log (tenant_id, at);

-- Roles hold a copy of these tables and read it again when told.
CREATE FUNCTION directory_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_TABLE_SCHEMA || '_directory', TG_TABLE_NAME);
    RETURN NULL;
END $$;

CREATE TRIGGER tenants_changed AFTER INSERT OR UPDATE OR DELETE ON tenants
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
CREATE TRIGGER webhook_endpoints_changed AFTER INSERT OR UPDATE OR DELETE ON webhook_endpoints
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
CREATE TRIGGER api_keys_changed AFTER INSERT OR UPDATE OR DELETE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
