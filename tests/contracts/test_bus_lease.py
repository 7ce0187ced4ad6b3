"""What every bus promises of the lease."""

from __future__ import annotations

import pytest

from shared.runtime.bus.protocol import Fenced, Step
from tests.contracts.bus_world import LEASE, World


def test_the_first_holder_finds_an_empty_state_and_fence_one(world: World) -> None:
    record = world.bus().acquire()
    assert record is not None
    assert (record.fields, record.version, record.fence) == ({}, 0, 1)


def test_the_same_instance_retakes_its_lease_at_once_with_the_next_fence(world: World) -> None:
    world.holder().commit(Step(version=0, changed={"a": "1"}))
    record = world.bus().acquire()
    assert record is not None
    assert (record.fields, record.version, record.fence) == ({"a": "1"}, 1, 2)


def test_a_standby_waits_until_the_lease_has_run_out(world: World) -> None:
    world.holder(instance="a", lease=LEASE)
    standby = world.bus(instance="b")
    assert standby.acquire() is None
    world.wait(LEASE * 1.5)
    record = standby.acquire()
    assert record is not None
    assert record.fence == 2


def test_a_released_lease_is_free_at_once(world: World) -> None:
    world.holder(instance="a").release()
    assert world.bus(instance="b").acquire() is not None


def test_releasing_a_lost_lease_leaves_the_heir_alone(world: World) -> None:
    lost = world.holder(instance="a", lease=LEASE)
    world.wait(LEASE * 1.5)
    heir = world.holder(instance="b")
    lost.release()
    heir.commit(Step(version=0, changed={"a": "1"}))
    assert heir.load().version == 1


def test_renewing_prolongs_the_lease(world: World) -> None:
    bus = world.holder(lease=LEASE)
    for _ in range(4):
        world.wait(LEASE / 2)
        bus.renew()
    bus.commit(Step(version=0, changed={"a": "1"}))
    assert 0 < bus.lease_left() <= LEASE * 1.01


def test_renewing_a_lost_lease_is_fenced(world: World) -> None:
    bus = world.holder(lease=LEASE)
    world.wait(LEASE * 1.5)
    with pytest.raises(Fenced):
        bus.renew()


def test_the_fence_outlives_the_lease(world: World) -> None:
    for _ in range(3):
        world.holder(instance="a").release()
    assert world.bus(instance="b").load().fence == 3
