-- Stages that stopped themselves (docs/decisions/0005). Used by storage/postgres/stops.py and the
-- commands `resume` and `doctor`.

-- name: stop_stage
-- Records that a stage stopped itself, and returns the time that identifies the stop.
INSERT INTO stage_stops (stage, detail) VALUES ($1, $2) RETURNING stopped_at;

-- name: stage_quiet
-- Returns for how many more seconds the stage must not stop itself, whichever of its processes was
-- resumed; 0 if it may.
SELECT greatest(0, extract(epoch FROM max(quiet_until) - now()))::float8 FROM stage_stops WHERE stage = $1;

-- name: count_tenants
-- Returns the number of tenants, counted only up to 2: the caller asks whether there is more than
-- one.
SELECT count(*)::integer FROM (SELECT 1 FROM tenants LIMIT 2) AS found;

-- name: stop_resumed
-- Returns NULL while the stage has to wait; once a person has resumed it, returns for how many
-- seconds it must not stop again. Each call also records that the process still waits, and restores
-- the row of the stop if it was lost.
WITH quiet AS (SELECT max(quiet_until) AS until FROM stage_stops WHERE stage = $1)
INSERT INTO stage_stops (stage, stopped_at, detail) VALUES ($1, $2, $3) ON CONFLICT (stage, stopped_at) DO UPDATE SET asked_at = now()
RETURNING CASE WHEN resumed_at IS NOT NULL OR (SELECT until FROM quiet) > now()
    THEN greatest(0, extract(epoch FROM greatest(quiet_until, (SELECT until FROM quiet)) - now()))::float8 END;

-- name: resume_stage
-- Resumes every process of a stage. It does not stop itself again for $2 seconds.
UPDATE stage_stops SET resumed_at = now(), quiet_until = now() + make_interval(secs => $2) WHERE stage = $1 AND resumed_at IS NULL
RETURNING stopped_at, detail;

-- name: standing_stops
-- Returns stages that wait for a person. Leaves out stops whose process has not asked for 30
-- seconds, because that process has ended.
SELECT stage, stopped_at, detail FROM stage_stops WHERE resumed_at IS NULL AND asked_at > now() - interval '30 seconds' ORDER BY stopped_at;
