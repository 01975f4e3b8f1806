"""Lanes: exactly-once processing for Faust stages.

A lane belongs to one source partition. The outputs, table changelog and source offset of
a piece of work commit in one Kafka transaction, by a producer that belongs to that
partition. The next owner of the partition fences that producer first.

The modules, in the order in which to read them (docs/decisions/0024). Each imports only
modules above it, but `app` also imports those of the last group.

One partition: open it, commit to it, close it
    state          the contents of a table for one partition, as a protocol
    kafka_errors   what an error of a Kafka client means for a lane
    transactions   fences, loads, and commits everything of one transaction
    rereads        reads records of the source again
    parked         the reasons for which one partition waits
    pace           how often a transaction begins
    receipts       one line per record, counted after the commit
    lane           one pending transaction, and the task that commits it

The tables that stages keep
    digests        a compact set of digests
    claims         the claims of dedupe
    entries        the changelog records of jobs
    job_entries    the unfinished jobs of one partition
    changelogs     the configuration of changelog topics

From records to work
    in_flight      which record is being read, for the parent of a process that dies
    breaker        detects that a stage is wrong (pure)
    gate           outcomes wait here while a stage is stopped
    channel        from lanes to an agent
    batches        batch intake: an agent decides a batch, in one transaction
    schedule       which job is next (pure)
    jobs           job intake: a durable queue, processed out of order
    job_ends       the ways in which a job ends, and how each is settled

The Faust side
    table          a Faust table whose contents belong to lanes
    credentials    how Faust's clients authenticate
    membership     whether the worker is a member of its consumer group
    app            maps assigned partitions to lanes
    agents         pass batches and jobs to the stage's function

Observing a stage
    counts         whether topics have the configured number of partitions
    gauges         metrics that are computed when they are read
    readiness      why a stage is not ready
"""
