-- What each process did per minute, for the console's page of the pipeline (docs/decisions/0038).
-- Used by storage/postgres/stage_minutes.py.

-- name: write_minute
-- Writes what a process has done so far in the current minute. Replaces what it wrote earlier about
-- the same minute.
INSERT INTO stage_minutes AS there
    (minute, stage, member, records, per_second, outcomes, took, unread, waiting, oldest_seconds)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10)
ON CONFLICT (minute, stage, member) DO UPDATE SET
    written_at = now(), records = EXCLUDED.records, per_second = EXCLUDED.per_second, outcomes = EXCLUDED.outcomes,
    took = EXCLUDED.took, unread = EXCLUDED.unread, waiting = EXCLUDED.waiting, oldest_seconds = EXCLUDED.oldest_seconds;

-- name: stages_now
-- Returns the sums over the processes of each stage that wrote within the last $1 seconds, from the
-- latest minute of each process.
SELECT stage, count(*) AS members, sum(per_second) AS per_second, sum(unread)::bigint AS unread, sum(waiting)::bigint AS waiting,
       max(oldest_seconds) AS oldest_seconds
FROM (SELECT DISTINCT ON (stage, member) * FROM stage_minutes
      WHERE minute > now() - interval '3 minutes' ORDER BY stage, member, minute DESC) AS latest
WHERE written_at > now() - make_interval(secs => $1::float8)
GROUP BY stage;

-- name: stages_seen
-- Returns when any process of each stage last wrote.
SELECT stage, max(written_at) AS seen_at FROM stage_minutes GROUP BY stage;

-- name: outcomes_since
-- Returns how many records of each stage had which outcome in the last $1 minutes.
SELECT stage, outcome.key AS outcome, sum(outcome.value::bigint)::bigint AS records
FROM stage_minutes, jsonb_each_text(outcomes) AS outcome
WHERE minute > now() - make_interval(mins => $1::integer) GROUP BY 1, 2 ORDER BY 1, 3 DESC;

-- name: took_since
-- Returns how many records of each stage took how long, in spans of $2 minutes over the last $1
-- minutes. `place` is the number of the histogram's bound.
SELECT date_bin(make_interval(mins => $2::integer), minute, TIMESTAMPTZ '2000-01-01 00:00:00Z') AS span, stage, bound.place, sum(bound.count)::bigint AS count
FROM stage_minutes, unnest(took) WITH ORDINALITY AS bound (count, place)
WHERE minute > now() - make_interval(mins => $1::integer) AND bound.count > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- name: history
-- Returns records per span of $2 minutes over the last $1 minutes, and the largest backlog within
-- each span.
SELECT date_bin(make_interval(mins => $2::integer), minute, TIMESTAMPTZ '2000-01-01 00:00:00Z') AS span, stage,
       sum(records)::bigint AS records, max(waits)::bigint AS waits
FROM (SELECT minute, stage, sum(records) AS records, sum(unread + waiting) AS waits FROM stage_minutes
      WHERE minute > now() - make_interval(mins => $1::integer) GROUP BY minute, stage) AS per_minute
GROUP BY 1, 2 ORDER BY 1, 2;
