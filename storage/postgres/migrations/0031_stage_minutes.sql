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
