-- Recorded answers of models and the usage that was paid for. Used by
-- storage/postgres/ai_results.py.

-- name: find
-- Returns the recorded answer to the first of the recipes ($3, in order of preference) that has
-- one. Skips refusals and empty texts, which only earlier versions of the program recorded.
SELECT recipe, text, model, input_tokens, output_tokens, cost_microusd, latency_ms
FROM ai_results
WHERE tenant_id = $1 AND sha256 = $2 AND recipe = ANY($3::text[]) AND NOT refused AND text <> ''
ORDER BY array_position($3::text[], recipe)
LIMIT 1;

-- name: record
-- Records an answer. The first recorded answer stays, unless it is a refusal or an empty text of an
-- earlier version of the program.
INSERT INTO ai_results
    (tenant_id, sha256, recipe, kind, text, refused, model, prompt_version, input_tokens, output_tokens, cost_microusd, latency_ms)
VALUES ($1, $2, $3, $4, $5, false, $6, $7, $8, $9, $10, $11)
ON CONFLICT (tenant_id, sha256, recipe) DO UPDATE SET
    text = EXCLUDED.text,
    refused = false,
    model = EXCLUDED.model,
    prompt_version = EXCLUDED.prompt_version,
    input_tokens = EXCLUDED.input_tokens,
    output_tokens = EXCLUDED.output_tokens,
    cost_microusd = EXCLUDED.cost_microusd,
    latency_ms = EXCLUDED.latency_ms
WHERE ai_results.refused OR ai_results.text = '';

-- name: count_usage
-- Adds one paid call to the usage of the day (UTC). Runs in the same transaction as `record`. The
-- cost of a day becomes NULL as soon as the price of one of its calls is unknown.
INSERT INTO ai_usage (tenant_id, day, kind, model, calls, input_tokens, output_tokens, cost_microusd)
VALUES ($1, (now() AT TIME ZONE 'UTC')::date, $2, $3, 1, $4, $5, $6)
ON CONFLICT (tenant_id, day, kind, model) DO UPDATE SET
    calls = ai_usage.calls + 1,
    input_tokens = ai_usage.input_tokens + EXCLUDED.input_tokens,
    output_tokens = ai_usage.output_tokens + EXCLUDED.output_tokens,
    cost_microusd = ai_usage.cost_microusd + EXCLUDED.cost_microusd;
