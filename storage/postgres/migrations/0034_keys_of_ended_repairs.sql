-- A repair that ended needs its place no more, and the message there may have been erased.

UPDATE repairs SET done_key = '' WHERE state IN ('done', 'cancelled') AND intent IS NULL AND done_key <> '';
