"""The audit compares receiver, raw topic, receipts, enriched topic, rows and objects.

findings   what can be wrong with a record, and the totals that a person reads
ledger     compares a stage's source with its receipts
versions   the enriched topic: versions of messages, and which raw record opened them
facts      reads everything from the running system, upstream first
balance    compares the facts
backlog    what waits, by stage and tenant
"""
