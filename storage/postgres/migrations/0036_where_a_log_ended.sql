-- Where a partition ended when it was found to end before the sink's position. Such a position is not continued from.

ALTER TABLE sink_offsets ADD COLUMN lost_end bigint;
