-- What changed when: every row says which transaction wrote it last, so that readers can follow the changes of a tenant without a gap.

-- The starts of this database server. Transaction numbers are compared within one only: a restored or copied database counts them again.
CREATE TABLE feed_eras (
    era        bigint      PRIMARY KEY,
    started_at timestamptz NOT NULL UNIQUE
);

-- The number of the running start, larger than that of every one before it, whatever the clock says.
CREATE FUNCTION feed_era() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    running bigint;
BEGIN
    LOOP
        SELECT era INTO running FROM feed_eras WHERE started_at = pg_postmaster_start_time();
        IF running IS NOT NULL THEN
            RETURN running;
        END IF;
        INSERT INTO feed_eras (era, started_at)
        SELECT greatest(coalesce(max(era), 0) + 1, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint), pg_postmaster_start_time()
        FROM feed_eras
        ON CONFLICT DO NOTHING;
    END LOOP;
END $$;

ALTER TABLE chat_messages
    ADD COLUMN changed_era bigint NOT NULL DEFAULT 0,
    ADD COLUMN changed_xid bigint NOT NULL DEFAULT 0;
ALTER TABLE chat_messages
    ALTER COLUMN changed_era SET DEFAULT feed_era(),
    ALTER COLUMN changed_xid SET DEFAULT pg_current_xact_id()::text::bigint;
SELECT feed_era();
