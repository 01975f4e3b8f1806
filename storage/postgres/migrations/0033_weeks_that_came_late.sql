-- A week whose partition was missing when its first arrivals came gets it all the same: they move into it. Who writes arrivals of no
-- week waits for that, and then finds the partition.

CREATE OR REPLACE FUNCTION make_arrival_weeks(first_day date, last_day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    week date := date_trunc('week', first_day)::date;
    name text;
    begins timestamptz;
    ends timestamptz;
BEGIN
    WHILE week <= last_day LOOP
        name := 'arrival_records_' || to_char(week, 'YYYYMMDD');
        begins := week::timestamp AT TIME ZONE 'UTC';
        ends := (week + 7)::timestamp AT TIME ZONE 'UTC';
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE arrival_records INCLUDING ALL)', name);
            IF EXISTS (SELECT FROM arrival_records_other WHERE received_at >= begins AND received_at < ends) THEN
                LOCK TABLE arrival_records_other IN SHARE ROW EXCLUSIVE MODE;
                EXECUTE format('WITH moved AS (DELETE FROM arrival_records_other WHERE received_at >= %L AND received_at < %L RETURNING *) '
                               'INSERT INTO %I SELECT * FROM moved', begins, ends, name);
            END IF;
            EXECUTE format('ALTER TABLE arrival_records ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, begins, ends);
        END IF;
        week := week + 7;
    END LOOP;
END $$;
