-- What the sink writes: messages, their arrival, conversations, files, steps, quarantine, and its positions in Kafka.

CREATE TABLE inbound_messages (
    tenant_id           text        NOT NULL,
    provider            text        NOT NULL,
    provider_message_id text        NOT NULL,
    message_key         text        NOT NULL,
    topic               text        NOT NULL,
    partition           integer     NOT NULL,
    "offset"            bigint      NOT NULL,
    occurred_at         timestamptz,
    received_at         timestamptz NOT NULL,
    outcome             text        NOT NULL DEFAULT 'forwarded',
    reason              text        NOT NULL DEFAULT '',
    deliveries          bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, provider, provider_message_id)
);

-- The view `arrivals` compares ids byte by byte.
CREATE INDEX inbound_messages_by_id ON inbound_messages (tenant_id, provider, provider_message_id COLLATE "C");

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

CREATE TABLE chat_messages (
    tenant_id          text        NOT NULL,
    message_key        text        NOT NULL,
    provider           text        NOT NULL,
    conversation_id    text        NOT NULL,
    role               text        NOT NULL,
    direction          text        NOT NULL,
    kind               text        NOT NULL,
    content            text,
    content_attributes jsonb       NOT NULL,
    status             text        NOT NULL,
    version            bigint      NOT NULL,
    occurred_at        timestamptz NOT NULL,
    received_at        timestamptz NOT NULL,
    enriched_at        timestamptz NOT NULL,
    sender_id          text,
    sender_name        text,
    endpoint_id        text,
    changed_era        bigint      NOT NULL DEFAULT feed_era(),
    changed_xid        bigint      NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    redoing_version    bigint,
    steps              jsonb,
    PRIMARY KEY (tenant_id, message_key),
    CHECK (content <> '')
);
CREATE INDEX chat_messages_changed ON chat_messages (tenant_id, changed_era, changed_xid, received_at);
CREATE INDEX chat_messages_by_conversation ON chat_messages (tenant_id, conversation_id, received_at);
CREATE INDEX chat_messages_by_sender ON chat_messages (tenant_id, sender_id) WHERE sender_id IS NOT NULL;
CREATE INDEX chat_messages_pending ON chat_messages (tenant_id, received_at) WHERE status = 'pending';
CREATE INDEX chat_messages_degraded ON chat_messages (tenant_id, received_at) WHERE status = 'degraded';
CREATE INDEX chat_messages_by_attachment ON chat_messages USING gin ((content_attributes -> 'attachments') jsonb_path_ops)
    WHERE content_attributes ? 'attachments';

CREATE INDEX chat_messages_by_time
    ON chat_messages USING brin (received_at timestamptz_minmax_multi_ops) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE conversation_aliases (
    tenant_id       text NOT NULL,
    alias           text NOT NULL,
    conversation_id text NOT NULL,
    PRIMARY KEY (tenant_id, alias, conversation_id)
);
CREATE INDEX conversation_aliases_back ON conversation_aliases (tenant_id, conversation_id);

CREATE TABLE media_objects (
    tenant_id           text        NOT NULL,
    object_key          text        NOT NULL,
    message_key         text        NOT NULL,
    attachment_index    integer     NOT NULL,
    sha256              text        NOT NULL,
    mime_type           text        NOT NULL,
    bytes               bigint      NOT NULL,
    original_url        text        NOT NULL,
    stored_at           timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, object_key)
);
CREATE INDEX media_objects_by_original ON media_objects (tenant_id, md5(original_url));
CREATE INDEX media_objects_by_time
    ON media_objects USING brin (stored_at timestamptz_minmax_multi_ops) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX media_objects_by_message ON media_objects (tenant_id, message_key);
CREATE INDEX media_objects_by_content ON media_objects (tenant_id, sha256);

CREATE TABLE message_steps (
    tenant_id   text        NOT NULL,
    message_key text        NOT NULL,
    stage       text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    outcome     text        NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, message_key, stage, topic, partition, "offset")
);

CREATE TABLE quarantined_messages (
    tenant_id       text        NOT NULL,
    stage           text        NOT NULL,
    reason          text        NOT NULL,
    detail          text        NOT NULL,
    record_key      text        NOT NULL,
    topic           text        NOT NULL,
    partition       integer     NOT NULL,
    "offset"        bigint      NOT NULL,
    created_at      timestamptz NOT NULL,
    state           text        NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'replayed', 'dismissed')),
    key             bytea,
    value           bytea,
    headers         jsonb       NOT NULL DEFAULT '{}',
    program_version text        NOT NULL,
    topic_id        text        NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX quarantined_messages_by_place ON quarantined_messages (stage, topic, partition, "offset", topic_id);
CREATE INDEX quarantined_messages_by_tenant ON quarantined_messages (tenant_id, state, created_at);
CREATE INDEX quarantined_messages_by_key ON quarantined_messages (tenant_id, record_key);

-- Messages that were erased by a command: nothing that comes later brings one back.
CREATE TABLE erased_messages (
    tenant_id  text        NOT NULL,
    key_digest bytea       NOT NULL,
    erased_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key_digest)
);

CREATE TABLE sink_offsets (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    topic_id    text    NOT NULL,
    next_offset bigint  NOT NULL,
    epoch       bigint  NOT NULL,
    lost_end    bigint,
    PRIMARY KEY (topic, partition)
);

-- A stage that stopped because too much of what it read would have gone to quarantine, and who let it go on.
CREATE TABLE stage_stops (
    stage       text        NOT NULL,
    stopped_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    detail      text        NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    resumed_at  timestamptz,
    quiet_until timestamptz,
    PRIMARY KEY (stage, stopped_at)
);
-- Answers of models, by content and recipe, and what they cost.

CREATE TABLE ai_results (
    tenant_id      text        NOT NULL,
    sha256         text        NOT NULL,
    recipe         text        NOT NULL,
    kind           text        NOT NULL,
    text           text        NOT NULL,
    refused        boolean     NOT NULL,
    model          text        NOT NULL,
    prompt_version text        NOT NULL,
    input_tokens   bigint      NOT NULL,
    output_tokens  bigint      NOT NULL,
    cost_microusd  bigint,
    latency_ms     bigint      NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, sha256, recipe)
);

CREATE TABLE ai_usage (
    tenant_id     text   NOT NULL,
    day           date   NOT NULL,
    kind          text   NOT NULL,
    model         text   NOT NULL,
    calls         bigint NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost_microusd bigint,
    PRIMARY KEY (tenant_id, day, kind, model)
);
-- A job whose last try failed, one row for each attachment and stage: a hint for people.

CREATE TABLE job_attempts (
    tenant_id        text        NOT NULL,
    message_key      text        NOT NULL,
    attachment_index integer     NOT NULL,
    stage            text        NOT NULL,
    generation       bigint      NOT NULL,
    attempts         integer     NOT NULL,
    cause            text        NOT NULL,
    detail           text        NOT NULL,
    first_at         timestamptz NOT NULL,
    last_at          timestamptz NOT NULL,
    next_at          timestamptz,
    PRIMARY KEY (tenant_id, message_key, attachment_index, stage)
);
CREATE INDEX job_attempts_by_time ON job_attempts (last_at);
-- Tenants, endpoints, keys, generations, and who changed what. Secrets are encrypted by the program.

CREATE TABLE tenants (
    tenant_id  text        PRIMARY KEY,
    settings   bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    data_kept  boolean     NOT NULL DEFAULT false
);
CREATE INDEX tenants_removed ON tenants (tenant_id) WHERE removed_at IS NOT NULL;

CREATE TABLE webhook_endpoints (
    tenant_id    text        NOT NULL REFERENCES tenants,
    endpoint_id  text        NOT NULL UNIQUE,
    provider     text        NOT NULL,
    token_sha256 bytea       NOT NULL UNIQUE,
    sealed       bytea       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    former_token_sha256 bytea UNIQUE,
    former_token_until  timestamptz,
    PRIMARY KEY (tenant_id, endpoint_id)
);

CREATE TABLE api_keys (
    tenant_id  text        NOT NULL REFERENCES tenants,
    key_sha256 bytea       NOT NULL UNIQUE,
    scope      text        NOT NULL CHECK (scope IN ('chat', 'read', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    key_id     text        NOT NULL GENERATED ALWAYS AS ('key_' || left(encode(key_sha256, 'hex'), 16)) STORED UNIQUE,
    name       text        NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, key_sha256)
);

-- What became of webhook deliveries, counted per endpoint, day and reason; and which tokens have ended.
-- `tenant_id` is empty for a token that no endpoint has; `endpoint_id` is then a part of the token's digest.
CREATE TABLE webhook_deliveries (
    tenant_id   text        NOT NULL,
    endpoint_id text        NOT NULL,
    day         date        NOT NULL,
    reason      text        NOT NULL,
    secret_id   text        NOT NULL,
    deliveries  bigint      NOT NULL,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    last_status integer     NOT NULL,
    last_facts  jsonb       NOT NULL,
    PRIMARY KEY (tenant_id, endpoint_id, day, reason, secret_id)
) WITH (fillfactor = 50);
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id);

CREATE TABLE ended_tokens (
    tenant_id    text        NOT NULL REFERENCES tenants,
    token_sha256 bytea       NOT NULL UNIQUE,
    endpoint_id  text        NOT NULL,
    provider     text        NOT NULL,
    reason       text        NOT NULL CHECK (reason IN ('endpoint_removed', 'url_replaced')),
    ended_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, token_sha256)
);
CREATE INDEX ended_tokens_by_time ON ended_tokens (ended_at);

CREATE TABLE generations (
    generation bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    command    text        NOT NULL,
    detail     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit_log (
    id        bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    tenant_id text        NOT NULL,
    action    text        NOT NULL,
    detail    text        NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text        NOT NULL DEFAULT coalesce(nullif(current_setting('sensorium.actor', true), ''), '')
);
CREATE INDEX audit_log_by_tenant ON audit_log (tenant_id, at);
CREATE INDEX audit_log_by_id ON audit_log (tenant_id, id);

-- Roles hold a copy of these tables. A change is noted under its tenant, and the notification names the tenant.
CREATE TABLE directory_changes (
    tenant_id text PRIMARY KEY,
    change    xid8 NOT NULL
);
CREATE INDEX directory_changes_by_change ON directory_changes (change);

CREATE FUNCTION directory_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tenant text := CASE WHEN TG_OP = 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END;
BEGIN
    EXECUTE format(
        'INSERT INTO %I.directory_changes AS there (tenant_id, change) VALUES ($1, pg_current_xact_id()) '
        'ON CONFLICT (tenant_id) DO UPDATE SET change = EXCLUDED.change WHERE there.change <> EXCLUDED.change',
        TG_TABLE_SCHEMA
    ) USING tenant;
    PERFORM pg_notify(TG_TABLE_SCHEMA || '_directory', tenant);
    RETURN NULL;
END $$;

CREATE TRIGGER tenants_changed AFTER INSERT OR UPDATE OR DELETE ON tenants
    FOR EACH ROW EXECUTE FUNCTION directory_changed();
CREATE TRIGGER webhook_endpoints_changed AFTER INSERT OR UPDATE OR DELETE ON webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION directory_changed();
CREATE TRIGGER api_keys_changed AFTER INSERT OR UPDATE OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION directory_changed();

-- People who use the console: roles per tenant, sessions, login links, failed logins, and what was unmasked for whom.

-- `name` is what they log in with. Without a password only a login link lets them in.
CREATE TABLE people (
    person_id  text        PRIMARY KEY,
    name       text        NOT NULL UNIQUE,
    password   text,
    created_at timestamptz NOT NULL DEFAULT now(),
    is_own_password boolean NOT NULL DEFAULT false
);

-- tenant_id '*' stands for every tenant.
CREATE TABLE people_roles (
    tenant_id text NOT NULL,
    person_id text NOT NULL REFERENCES people ON DELETE CASCADE,
    role      text NOT NULL CHECK (role IN ('viewer', 'reader', 'operator', 'admin')),
    PRIMARY KEY (tenant_id, person_id)
);
CREATE INDEX people_roles_by_person ON people_roles (person_id);

CREATE TABLE people_sessions (
    session_sha256 bytea       PRIMARY KEY,
    person_id      text        NOT NULL REFERENCES people ON DELETE CASCADE,
    began_at       timestamptz NOT NULL DEFAULT now(),
    seen_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX people_sessions_by_person ON people_sessions (person_id, seen_at);

CREATE TABLE login_links (
    link_sha256 bytea       PRIMARY KEY,
    person_id   text        NOT NULL REFERENCES people ON DELETE CASCADE,
    ends_at     timestamptz NOT NULL
);

-- A bucket is the digest of an account, of an address, or of both.
CREATE TABLE login_failures (
    bucket   bytea       PRIMARY KEY,
    failures integer     NOT NULL,
    since    timestamptz NOT NULL
);
CREATE INDEX login_failures_since ON login_failures (since);

CREATE TABLE unmasked_conversations (
    tenant_id       text        NOT NULL,
    conversation_id text        NOT NULL,
    session_sha256  bytea       NOT NULL REFERENCES people_sessions ON DELETE CASCADE,
    ends_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, session_sha256)
);

-- What the console's pages look for: the newest messages of a tenant, and words in texts, transcripts and descriptions.
CREATE INDEX chat_messages_latest ON chat_messages (tenant_id, received_at);

CREATE FUNCTION message_words(content text, attributes jsonb) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector('simple'::regconfig,
    left(coalesce(content, ''), 50000) || ' ' || left(coalesce(attributes ->> 'transcript', ''), 50000) || ' ' ||
    left(coalesce(attributes ->> 'description', ''), 50000));

CREATE INDEX chat_messages_words ON chat_messages USING gin (message_words(content, content_attributes)) WITH (gin_pending_list_limit = 32768);

-- Repairs that people planned in the console: what they are for, how far they are, and what was tried too often.

-- `done_at` and `done_key` are the last message that was tried again; the holder until `held_until` continues there.
CREATE TABLE repairs (
    tenant_id  text        NOT NULL,
    repair_id  text        NOT NULL UNIQUE,
    reason     text        NOT NULL,
    state      text        NOT NULL CHECK (state IN ('planned', 'running', 'done', 'cancelled')),
    person     text        NOT NULL,
    messages   bigint      NOT NULL,
    files      jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ends_at    timestamptz NOT NULL,
    began_at   timestamptz,
    ended_at   timestamptz,
    generation bigint,
    looked     bigint      NOT NULL DEFAULT 0,
    redone     bigint      NOT NULL DEFAULT 0,
    set_aside  bigint      NOT NULL DEFAULT 0,
    done_at    timestamptz NOT NULL DEFAULT '-infinity',
    done_key   text        NOT NULL DEFAULT '',
    held_until timestamptz,
    trouble    text        NOT NULL DEFAULT '',
    kind       text        NOT NULL DEFAULT 'attachments' CHECK (kind IN ('attachments', 'quarantine', 'raw')),
    choice     jsonb       NOT NULL DEFAULT '{}',
    rate       double precision NOT NULL DEFAULT 50,
    portion    bigint      NOT NULL DEFAULT 0,
    intent     jsonb,
    holder     text        NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, repair_id)
);
CREATE INDEX repairs_open ON repairs (held_until) WHERE state = 'running' OR intent IS NOT NULL;
CREATE INDEX repairs_running ON repairs (tenant_id, created_at) WHERE state = 'running';

CREATE TABLE repair_tries (
    tenant_id   text    NOT NULL,
    message_key text    NOT NULL,
    reason      text    NOT NULL,
    tries       integer NOT NULL,
    PRIMARY KEY (tenant_id, message_key, reason)
);

-- By what a record in quarantine is known when it comes back there: the stage, and the record itself.
CREATE FUNCTION quarantine_tried(stage text, value bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN stage || ' ' || left(encode(sha256(coalesce(value, ''::bytea)), 'hex'), 32);

-- The place of a record in quarantine as a text that sorts as the places do.
CREATE FUNCTION quarantine_order(stage text, topic text, partition integer, "offset" bigint, topic_id text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN topic || ' ' || lpad(partition::text, 10, '0') || ' ' || lpad("offset"::text, 20, '0') || ' ' || stage || ' ' || topic_id;

-- Arrivals, in a partition per week; and views of what the tables before them hold as well.

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
    deliveries          bigint           NOT NULL,
    again_at            timestamptz[],
    again_offsets       bigint[]
) PARTITION BY RANGE (received_at);
CREATE INDEX arrival_records_by_id ON arrival_records (tenant_id, provider, provider_message_id);
CREATE TABLE arrival_records_other PARTITION OF arrival_records DEFAULT;

-- Makes the partitions that are missing between two days. Writers to other partitions do not wait for it. Arrivals of such a week
-- that came before their partition move into it.
CREATE FUNCTION make_arrival_weeks(first_day date, last_day date) RETURNS void LANGUAGE plpgsql AS $$
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

CREATE VIEW steps AS
SELECT m.tenant_id, m.message_key, split_part(line, E'\t', 1) AS stage, split_part(line, E'\t', 2) AS topic,
       split_part(line, E'\t', 3)::integer AS partition, split_part(line, E'\t', 4)::bigint AS "offset",
       split_part(line, E'\t', 6) AS outcome, to_timestamp(split_part(line, E'\t', 5)::float8) AS at
FROM chat_messages AS m, LATERAL jsonb_each_text(m.steps) AS opening (number, lines), LATERAL string_to_table(lines, E'\n') AS line
UNION
SELECT tenant_id, message_key, stage, topic, partition, "offset", outcome, at FROM message_steps;

-- What a row shows of stored files stays, also when a version comes that does not know of them.

CREATE FUNCTION lost_files(shown jsonb, new jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_agg(file ORDER BY (file ->> 'index')::integer)
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(shown -> 'attachments') = 'array' THEN shown -> 'attachments' ELSE '[]' END) AS file
    WHERE file ->> 'url' IS NOT NULL AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(CASE WHEN jsonb_typeof(new -> 'attachments') = 'array' THEN new -> 'attachments' ELSE '[]' END) AS one
        WHERE one -> 'index' = file -> 'index')
$$;

CREATE FUNCTION with_files(shown jsonb, new jsonb, lost jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN lost IS NULL THEN new ELSE
        (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(shown) WHERE key IN ('description', 'transcript'))
        || new || jsonb_build_object('attachments', coalesce(new -> 'attachments', '[]') || lost) END
$$;

-- What each process did in each minute of the last two days: for the console's picture of the pipeline.

CREATE TABLE stage_minutes (
    minute         timestamptz      NOT NULL,
    stage          text             NOT NULL,
    member         text             NOT NULL,
    written_at     timestamptz      NOT NULL DEFAULT now(),
    records        bigint           NOT NULL,
    per_second     double precision NOT NULL,
    outcomes       jsonb            NOT NULL,
    took           bigint[]         NOT NULL,
    unread         bigint           NOT NULL,
    waiting        bigint           NOT NULL,
    oldest_seconds double precision NOT NULL,
    PRIMARY KEY (minute, stage, member)
) WITH (fillfactor = 50);

-- Tenants that people remove in the console, and how far the deletion of their data has come.

CREATE TABLE tenant_removals (
    tenant_id  text        PRIMARY KEY,
    person     text        NOT NULL,
    began_at   timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    deleted    jsonb       NOT NULL DEFAULT '{}',
    holder     text        NOT NULL DEFAULT '',
    held_until timestamptz,
    trouble    text        NOT NULL DEFAULT ''
);
