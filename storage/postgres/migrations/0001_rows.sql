-- What the sink writes: messages, their arrival, conversations, files, steps, quarantine, and where it stands in Kafka.

CREATE TABLE inbound_messages (
    tenant_id           text        NOT NULL,
    provider            text        NOT NULL,
    provider_message_id text        NOT NULL,
    message_key         text        NOT NULL,
    topic               text        NOT NULL,
    partition           integer     NOT NULL,
    "offset"            bigint      NOT NULL,
    occurred_at         timestamptz NOT NULL,
    received_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, provider, provider_message_id)
);

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
    PRIMARY KEY (tenant_id, message_key),
    CHECK (content <> '')
);
CREATE INDEX chat_messages_by_conversation ON chat_messages (tenant_id, conversation_id, received_at);
CREATE INDEX chat_messages_pending ON chat_messages (tenant_id, received_at) WHERE status = 'pending';
CREATE INDEX chat_messages_degraded ON chat_messages (tenant_id, received_at) WHERE status = 'degraded';
CREATE INDEX chat_messages_by_attachment ON chat_messages USING gin ((content_attributes -> 'attachments') jsonb_path_ops)
    WHERE content_attributes ? 'attachments';

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
    UNIQUE (stage, topic, partition, "offset")
);
CREATE INDEX quarantined_messages_by_tenant ON quarantined_messages (tenant_id, state, created_at);

CREATE TABLE sink_offsets (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    topic_id    text    NOT NULL,
    next_offset bigint  NOT NULL,
    epoch       bigint  NOT NULL,
    PRIMARY KEY (topic, partition)
);
