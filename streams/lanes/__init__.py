"""Lanes: exactly-once for Faust stages.

A lane belongs to one source partition. Outputs, table changelog and source
offset of a piece of work commit in one Kafka transaction by a producer that
belongs to that partition; whoever takes the partition over fences it first.

    transactions   what one transaction writes, and the fenced producer that writes it
    lane           one pending transaction that
    anybody may add to, and one task that flushes it
    batches        intake 1: a batch of records,
    decided by an agent, one transaction each
    jobs           intake 2: records become entries
    of a durable queue, worked on out of order
    schedule       which job is next (pure)
    state          what a table holds for one partition
    table, channel the Faust side of both
    app            assignment → lanes
"""
