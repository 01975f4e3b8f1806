"""Measures each stage beside what a user would run instead, in one run and in turns.
RIVALS="gateway dedup latency sink" chooses some.
"""
