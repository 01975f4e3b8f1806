-- Repairs by plan of every kind: failed files, records in quarantine, raw records.

-- `intent` is the portion at hand, `portion` the number of the last that is done. A portion's number is committed to Kafka in the
-- transaction of its records: whoever continues knows whether a portion at hand was written, and writes none twice.
ALTER TABLE repairs
    ADD COLUMN kind    text             NOT NULL DEFAULT 'attachments' CHECK (kind IN ('attachments', 'quarantine', 'raw')),
    ADD COLUMN choice  jsonb            NOT NULL DEFAULT '{}',
    ADD COLUMN rate    double precision NOT NULL DEFAULT 50,
    ADD COLUMN portion bigint           NOT NULL DEFAULT 0,
    ADD COLUMN intent  jsonb,
    ADD COLUMN holder  text             NOT NULL DEFAULT '';
CREATE INDEX repairs_open ON repairs (held_until) WHERE state = 'running' OR intent IS NOT NULL;

-- By what a record in quarantine is known when it comes back there: the stage, and the record itself.
CREATE FUNCTION quarantine_tried(stage text, value bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN stage || ' ' || left(encode(sha256(coalesce(value, ''::bytea)), 'hex'), 32);

-- The place of a record in quarantine as a text that sorts as the places do.
CREATE FUNCTION quarantine_order(stage text, topic text, partition integer, "offset" bigint, topic_id text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN topic || ' ' || lpad(partition::text, 10, '0') || ' ' || lpad("offset"::text, 20, '0') || ' ' || stage || ' ' || topic_id;
