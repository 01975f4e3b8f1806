-- name: stop_stage
-- A stage stopped itself.
INSERT INTO stage_stops (stage, detail) VALUES ($1, $2) RETURNING stopped_at;

-- name: stage_quiet
-- For how many seconds more the stage shall not stop itself, whichever of its processes was resumed.
SELECT greatest(0, extract(epoch FROM max(quiet_until) - now()))::float8 FROM stage_stops WHERE stage = $1;

-- name: count_tenants
-- Whether there is more than one tenant; more need not be counted.
SELECT count(*)::integer FROM (SELECT 1 FROM tenants LIMIT 2) AS found;

-- name: stop_resumed
-- For how long the stage shall not stop again, once somebody resumed it. Asking says that the stage still waits, and restores a lost stop.
WITH quiet AS (SELECT max(quiet_until) AS until FROM stage_stops WHERE stage = $1)
INSERT INTO stage_stops (stage, stopped_at, detail) VALUES ($1, $2, $3) ON CONFLICT (stage, stopped_at) DO UPDATE SET asked_at = now()
RETURNING CASE WHEN resumed_at IS NOT NULL OR (SELECT until FROM quiet) > now()
    THEN greatest(0, extract(epoch FROM greatest(quiet_until, (SELECT until FROM quiet)) - now()))::float8 END;

-- name: resume_stage
-- Lets every process of the stage go on.
UPDATE stage_stops SET resumed_at = now(), quiet_until = now() + make_interval(secs => $2) WHERE stage = $1 AND resumed_at IS NULL
RETURNING stopped_at, detail;

-- name: standing_stops
-- Stages that wait for a person; one whose process ended asks no more.
SELECT stage, stopped_at, detail FROM stage_stops WHERE resumed_at IS NULL AND asked_at > now() - interval '30 seconds' ORDER BY stopped_at;
