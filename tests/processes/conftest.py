"""HTTP clients of these tests stay on this machine."""

from tests.certificates import trust_one

trust_one()
