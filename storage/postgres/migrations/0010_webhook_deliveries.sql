-- What became of webhook deliveries, counted per endpoint, day and reason; and which tokens have ended, so that their use is explained.

-- `tenant_id` '': a token that nobody has; `endpoint_id` is then a part of the token's digest.
CREATE TABLE webhook_deliveries (
    tenant_id   text        NOT NULL,
    endpoint_id text        NOT NULL,
    day         date        NOT NULL,
    reason      text        NOT NULL,
    secret_id   text        NOT NULL,
    deliveries  bigint      NOT NULL,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    last_status integer     NOT NULL,
    last_facts  jsonb       NOT NULL,
    PRIMARY KEY (tenant_id, endpoint_id, day, reason, secret_id)
) WITH (fillfactor = 50);
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id);

CREATE TABLE ended_tokens (
    tenant_id    text        NOT NULL REFERENCES tenants,
    token_sha256 bytea       NOT NULL UNIQUE,
    endpoint_id  text        NOT NULL,
    provider     text        NOT NULL,
    reason       text        NOT NULL CHECK (reason IN ('endpoint_removed', 'url_replaced')),
    ended_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, token_sha256)
);
CREATE INDEX ended_tokens_by_time ON ended_tokens (ended_at);
