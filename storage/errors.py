"""The exceptions of this layer. The docstring of each says when it is raised and what to do.

Drawn by `make docs`:

StorageError
├── TaskEnded                    storage/background.py
├── WrongCounts                  storage/kafka/counts.py
├── ProducerFatal                storage/kafka/delivery.py
├── CutOff                       storage/kafka/reconnection.py
├── TopicsWrong                  storage/kafka/topics.py
├── ObjectMissing                storage/objects/store.py
├── ObjectStoreMisconfigured     storage/objects/store.py
├── ObjectTooLarge               storage/objects/store.py
├── TenancyError                 storage/postgres/endpoints.py
├── DatabaseAhead                storage/postgres/migrate.py
├── PeopleError                  storage/postgres/people.py
├── ReaderRefused                storage/postgres/readers.py
├── RepairError                  storage/postgres/repair_plans.py
│   └── ReadByNobody             storage/postgres/repair_plans.py
├── RepairLost                   storage/postgres/repair_plans.py
└── VaultError                   storage/postgres/vault.py
"""


class StorageError(Exception):
    """The root of this layer's exceptions. It is never raised itself."""
