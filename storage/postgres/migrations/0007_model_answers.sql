-- Refusals are no answers: a file that was refused is asked about again. A price that is not known is null.

DELETE FROM ai_results WHERE refused OR text = '';
ALTER TABLE ai_results ALTER COLUMN cost_microusd DROP NOT NULL;
ALTER TABLE ai_usage ALTER COLUMN cost_microusd DROP NOT NULL;
