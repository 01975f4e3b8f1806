"""The exceptions of this layer. The docstring of each says when it is raised and what to do.

Drawn by `make docs`:

ConnectorsError
├── NoCursor                     connectors/console/change_positions.py
├── LoginNeeded                  connectors/console/pages/visits.py
├── PageProblem                  connectors/console/pages/visits.py
├── ConsoleProblem               connectors/console/problems.py
├── RegistryRefused              connectors/console/registry.py
├── Busy                         connectors/console/tenant_queue.py
├── JobAbandoned                 connectors/engines/outcomes.py
├── RequestRefused               connectors/engines/outcomes.py
├── Full                         connectors/engines/queue.py
├── WrongAllowedHost             connectors/media/addresses.py
├── CutShort                     connectors/media/codings.py
├── UnknownCoding                connectors/media/codings.py
├── BadExchange                  connectors/media/exchange.py
├── NotFit                       connectors/media/unfit.py
├── WorkerLost                   connectors/media/workers.py
├── Declined                     connectors/models/errors.py
├── FileRefused                  connectors/models/errors.py
├── ParameterRejected            connectors/models/errors.py
├── SoundTooLong                 connectors/models/errors.py
├── SoundTooShort                connectors/models/errors.py
├── ModelSettingsError           connectors/models/servers.py
├── SinkStopped                  connectors/postgres/quarantine_writer.py
├── Fenced                       connectors/postgres/writer.py
├── OutOfStep                    connectors/postgres/writer.py
├── Refusing                     connectors/postgres/writer.py
├── Unreadable                   connectors/providers/adapter.py
├── ForeignHost                  connectors/providers/downloads.py
└── Problem                      connectors/webhooks/answers.py
    └── Unauthenticated          connectors/webhooks/answers.py
"""


class ConnectorsError(Exception):
    """The root of this layer's exceptions. It is never raised itself."""
