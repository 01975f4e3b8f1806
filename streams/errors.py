"""The exceptions of this layer. The docstring of each says when it is raised and what to do.

Drawn by `make docs`:

StreamsError
├── TooLarge                     streams/apps/encoding.py
├── FileUnavailable              streams/apps/models.py
├── Soon                         streams/commands/checks.py
├── Wrong                        streams/commands/checks.py
├── Abandoned                    streams/lanes/transactions.py
├── OffsetLost                   streams/lanes/transactions.py
├── OffsetMissing                streams/lanes/transactions.py
├── PartitionMissing             streams/lanes/transactions.py
├── UndeclaredOutput             streams/lanes/transactions.py
├── LocalError                   streams/local/processes.py
├── Behind                       streams/repair/orphans.py
├── NotYet                       streams/repair/take_over.py
├── WeightsMissing               streams/roles/local_models.py
├── PortTaken                    streams/roles/port_claims.py
└── SettingsError                streams/settings.py
"""


class StreamsError(Exception):
    """The root of the layer's exceptions. It is never raised itself."""


EXIT_TROUBLE = 70
"""The exit code of a process that cannot continue.

The program that started it starts it again.
"""
