-- outside a transaction
-- The audit log is read newest first, and exported whole, by its ids: at one tenant and at every one (`*`).
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_log_by_id ON audit_log (tenant_id, id);
