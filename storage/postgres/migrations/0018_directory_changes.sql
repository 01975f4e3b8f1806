-- Roles read what changed and not everything: a change is noted under its tenant, and the notification names the tenant.
-- `change` is the number of the transaction. A reader asks for those that had not ended when it asked last, so none is missed
-- that commits later than one with a higher number, and no writer waits for another tenant's.

CREATE TABLE directory_changes (
    tenant_id text PRIMARY KEY,
    change    xid8 NOT NULL
);
CREATE INDEX directory_changes_by_change ON directory_changes (change);

CREATE OR REPLACE FUNCTION directory_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tenant text := CASE WHEN TG_OP = 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END;
BEGIN
    EXECUTE format(
        'INSERT INTO %I.directory_changes AS there (tenant_id, change) VALUES ($1, pg_current_xact_id()) '
        'ON CONFLICT (tenant_id) DO UPDATE SET change = EXCLUDED.change WHERE there.change <> EXCLUDED.change',
        TG_TABLE_SCHEMA
    ) USING tenant;
    PERFORM pg_notify(TG_TABLE_SCHEMA || '_directory', tenant);
    RETURN NULL;
END $$;

DROP TRIGGER tenants_changed ON tenants;
DROP TRIGGER webhook_endpoints_changed ON webhook_endpoints;
DROP TRIGGER api_keys_changed ON api_keys;
CREATE TRIGGER tenants_changed AFTER INSERT OR UPDATE OR DELETE ON tenants
    FOR EACH ROW EXECUTE FUNCTION directory_changed();
CREATE TRIGGER webhook_endpoints_changed AFTER INSERT OR UPDATE OR DELETE ON webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION directory_changed();
CREATE TRIGGER api_keys_changed AFTER INSERT OR UPDATE OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION directory_changed();
