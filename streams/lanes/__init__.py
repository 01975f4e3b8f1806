"""Lanes: exactly-once for Faust stages.

A lane belongs to one source partition. Outputs, table changelog and source
offset of a piece of work commit in one Kafka transaction, by a producer that
belongs to that partition. The next owner of the partition fences it first.

    transactions   what one transaction writes, and the fenced producer that writes it
    lane           one pending transaction, and one task that flushes it
    batches        batch intake: an agent decides a batch of records, one transaction each
    jobs           job intake: a durable queue, processed out of order
    schedule       which job is next (pure)
    state          the contents of a table for one partition
    table, channel the Faust side of tables and intakes
    app            assignment → lanes
"""
