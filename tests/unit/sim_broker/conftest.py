"""The simulated broker behind HTTP, for every test of it."""

from tests.unit.sim_broker.broker_server import broker  # noqa: F401  a fixture
