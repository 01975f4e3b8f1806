-- name: stop_stage
-- A stage stopped itself.
INSERT INTO stage_stops (stage, detail) VALUES ($1, $2) RETURNING stopped_at;

-- name: stop_resumed
-- For how long the stage shall not stop again, once somebody resumed it. Asking says that the stage still waits, and restores a lost stop.
INSERT INTO stage_stops (stage, stopped_at, detail) VALUES ($1, $2, $3) ON CONFLICT (stage, stopped_at) DO UPDATE SET asked_at = now()
RETURNING CASE WHEN resumed_at IS NULL THEN NULL ELSE greatest(0, extract(epoch FROM quiet_until - now()))::float8 END;

-- name: resume_stage
-- Lets every process of the stage go on.
UPDATE stage_stops SET resumed_at = now(), quiet_until = now() + make_interval(secs => $2) WHERE stage = $1 AND resumed_at IS NULL
RETURNING stopped_at, detail;

-- name: standing_stops
-- Stages that wait for a person; one whose process ended asks no more.
SELECT stage, stopped_at, detail FROM stage_stops WHERE resumed_at IS NULL AND asked_at > now() - interval '30 seconds' ORDER BY stopped_at;
