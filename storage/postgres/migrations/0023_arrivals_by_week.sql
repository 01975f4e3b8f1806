-- Arrivals are only added, in a partition per week that expires as a whole; the steps of a message stand in its row. The tables that held
-- both stay until their rows have expired: programs of the version before write them, and the views show both places.

CREATE TABLE arrival_records (
    tenant_id           text             NOT NULL,
    provider            text             NOT NULL,
    provider_message_id text COLLATE "C" NOT NULL,
    odd_key             text,
    topic               text             NOT NULL,
    partition           integer          NOT NULL,
    "offset"            bigint           NOT NULL,
    received_at         timestamptz      NOT NULL,
    outcome             text             NOT NULL,
    reason              text             NOT NULL,
    deliveries          bigint           NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX arrival_records_by_id ON arrival_records (tenant_id, provider, provider_message_id);
CREATE TABLE arrival_records_other PARTITION OF arrival_records DEFAULT;

-- Makes the partitions that are missing between two days. Nobody who writes to another partition waits for it.
CREATE FUNCTION make_arrival_weeks(first_day date, last_day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    week date := date_trunc('week', first_day)::date;
    name text;
BEGIN
    WHILE week <= last_day LOOP
        name := 'arrival_records_' || to_char(week, 'YYYYMMDD');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE arrival_records INCLUDING ALL)', name);
            EXECUTE format('ALTER TABLE arrival_records ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                           week::timestamp AT TIME ZONE 'UTC', (week + 7)::timestamp AT TIME ZONE 'UTC');
        END IF;
        week := week + 7;
    END LOOP;
END $$;
SELECT make_arrival_weeks((now() AT TIME ZONE 'UTC')::date - 14, (now() AT TIME ZONE 'UTC')::date + 28);

CREATE VIEW arrivals AS
SELECT tenant_id, provider, provider_message_id, min(message_key) AS message_key,
       (array_agg(topic ORDER BY received_at, "offset"))[1] AS topic,
       (array_agg(partition ORDER BY received_at, "offset"))[1] AS partition,
       (array_agg("offset" ORDER BY received_at, "offset"))[1] AS "offset",
       min(received_at) AS received_at,
       (array_agg(outcome ORDER BY outcome <> 'forwarded', outcome = 'duplicate', received_at DESC, "offset" DESC))[1] AS outcome,
       (array_agg(reason ORDER BY outcome <> 'forwarded', outcome = 'duplicate', received_at DESC, "offset" DESC))[1] AS reason,
       sum(deliveries)::bigint AS deliveries
FROM (
    SELECT tenant_id, provider, provider_message_id, message_key, topic, partition, "offset", received_at, outcome, reason, deliveries
    FROM inbound_messages
    UNION ALL
    SELECT tenant_id, provider, provider_message_id, coalesce(odd_key, tenant_id || ':' || provider || ':' || provider_message_id),
           topic, partition, "offset", received_at, outcome, reason, deliveries
    FROM arrival_records
) AS every
GROUP BY tenant_id, provider, provider_message_id;

ALTER TABLE chat_messages ADD COLUMN steps jsonb;

CREATE VIEW steps AS
SELECT m.tenant_id, m.message_key, split_part(line, E'\t', 1) AS stage, split_part(line, E'\t', 2) AS topic,
       split_part(line, E'\t', 3)::integer AS partition, split_part(line, E'\t', 4)::bigint AS "offset",
       split_part(line, E'\t', 6) AS outcome, to_timestamp(split_part(line, E'\t', 5)::float8) AS at
FROM chat_messages AS m, LATERAL jsonb_each_text(m.steps) AS opening (number, lines), LATERAL string_to_table(lines, E'\n') AS line
UNION
SELECT tenant_id, message_key, stage, topic, partition, "offset", outcome, at FROM message_steps;

-- Readers who could read the tables can read the views.
DO $$
DECLARE
    reader text;
BEGIN
    FOR reader IN
        SELECT DISTINCT grantee FROM information_schema.role_table_grants
        WHERE table_schema = current_schema() AND table_name = 'message_steps' AND privilege_type = 'SELECT' AND grantee <> current_user
    LOOP
        EXECUTE format('GRANT SELECT ON arrivals, steps TO %I', reader);
    END LOOP;
END $$;
