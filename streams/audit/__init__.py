"""The audit: receiver, raw topic, receipts, enriched topic, rows and objects held against each
other.

findings   what can be wrong with a record, and the sums a person reads
ledger     a stage's source against its receipts
versions   the enriched topic: versions of messages, and which raw record opened them
facts      reads all of it from the running system, upstream first
balance    holds it against each other
"""
