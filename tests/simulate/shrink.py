"""A failing story with as few elements as still fail in the same way."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulate.story import Element, Story
from tests.simulate.world import play

MOST_RUNS = 150
"""Runs spent on one story: about half a minute."""


def shorten(story: Story, failure: Callable[[Story], str] | None = None) -> Story:
    """Leave out halves, quarters, … and single elements as long as the same invariant fails."""
    name_of = failure or first_violation
    wanted = name_of(story)
    if not wanted:
        return story
    runs, size = 0, max(1, len(story.elements) // 2)
    while True:
        shorter = None
        for start in range(0, len(story.elements), size):
            kept: tuple[Element, ...] = (
                *story.elements[:start],
                *story.elements[start + size :],
            )
            runs += 1
            if name_of(story.keep(kept)) == wanted:
                shorter = story.keep(kept)
                break
            if runs >= MOST_RUNS:
                return story
        if shorter:
            story = shorter
        elif size == 1:
            return story
        else:
            size //= 2
        size = max(1, min(size, len(story.elements)))
        if not story.elements:
            return story


def first_violation(story: Story) -> str:
    """The invariant a story breaks first, empty if none."""
    violations = play(story)
    return violations[0].invariant if violations else ""
