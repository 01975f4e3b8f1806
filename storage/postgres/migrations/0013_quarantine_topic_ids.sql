-- A topic that was made again begins at offset 0: its records are others than those of the same place before.

ALTER TABLE quarantined_messages ADD COLUMN topic_id text NOT NULL DEFAULT '';
