"""The exceptions of this layer. The docstring of each says when it is raised and what to do.

Drawn by `make docs`:

SchemasError
├── Undecodable                  schemas/codec.py
├── FileGone                     schemas/fetching.py
├── FileNotThere                 schemas/fetching.py
├── Malformed                    schemas/numbers.py
├── Unavailable                  schemas/outcomes.py
├── WrongChange                  schemas/tenant_changes.py
├── UnknownVersion               schemas/versions.py
└── NotAnAddress                 schemas/web_address.py
"""


class SchemasError(Exception):
    """The root of this layer's exceptions. It is never raised itself."""
