"""HTTP clients of these tests do not leave this machine."""

from tests.certificates import trust_one

trust_one()
