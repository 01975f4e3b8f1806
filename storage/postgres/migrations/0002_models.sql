-- Answers of models, by content and recipe, and what they cost.

CREATE TABLE ai_results (
    tenant_id      text        NOT NULL,
    sha256         text        NOT NULL,
    recipe         text        NOT NULL,
    kind           text        NOT NULL,
    text           text        NOT NULL,
    refused        boolean     NOT NULL,
    model          text        NOT NULL,
    prompt_version text        NOT NULL,
    input_tokens   bigint      NOT NULL,
    output_tokens  bigint      NOT NULL,
    cost_microusd  bigint      NOT NULL,
    latency_ms     bigint      NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, sha256, recipe)
);

CREATE TABLE ai_usage (
    tenant_id     text   NOT NULL,
    day           date   NOT NULL,
    kind          text   NOT NULL,
    model         text   NOT NULL,
    calls         bigint NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost_microusd bigint NOT NULL,
    PRIMARY KEY (tenant_id, day, kind, model)
);
