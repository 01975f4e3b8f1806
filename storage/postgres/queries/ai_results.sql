-- name: find
-- A recorded answer.
SELECT text, refused, model, input_tokens, output_tokens, cost_microusd, latency_ms
FROM ai_results WHERE tenant_id = $1 AND sha256 = $2 AND recipe = $3;

-- name: record
-- An answer; the first one recorded stays.
INSERT INTO ai_results
    (tenant_id, sha256, recipe, kind, text, refused, model, prompt_version, input_tokens, output_tokens, cost_microusd, latency_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (tenant_id, sha256, recipe) DO NOTHING;

-- name: count_usage
-- One paid call.
INSERT INTO ai_usage (tenant_id, day, kind, model, calls, input_tokens, output_tokens, cost_microusd)
VALUES ($1, (now() AT TIME ZONE 'UTC')::date, $2, $3, 1, $4, $5, $6)
ON CONFLICT (tenant_id, day, kind, model) DO UPDATE SET
    calls = ai_usage.calls + 1,
    input_tokens = ai_usage.input_tokens + EXCLUDED.input_tokens,
    output_tokens = ai_usage.output_tokens + EXCLUDED.output_tokens,
    cost_microusd = ai_usage.cost_microusd + EXCLUDED.cost_microusd;
