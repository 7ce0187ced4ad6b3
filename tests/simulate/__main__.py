"""`python -m tests.simulate --seeds N`: play stories, and tell the first that fails in short.

Exit code 1 if any story fails. The same seed plays the same story.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

from tests.simulate.shrink import shorten
from tests.simulate.story import draw
from tests.simulate.world import play

CHUNK = 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many stories are played")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=2, help="processes to play them in")
    parser.add_argument(
        "--tell", type=int, default=3, help="failing stories that are told in short"
    )
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    failing = _failing(seeds, options.workers)
    seconds = time.monotonic() - begun
    print(f"{len(seeds)} seeds in {seconds:.0f} s, {len(failing)} failed")
    for seed, words in islice(failing.items(), options.tell):
        _tell(seed, words)
    if len(failing) > options.tell:
        print("further seeds that fail:", *list(failing)[options.tell :][:200])
    return 1 if failing else 0


def _failing(seeds: range, workers: int) -> dict[int, str]:
    if workers <= 1:
        found = map(_outcome, seeds)
        return {seed: words for seed, words in found if words}
    with ProcessPoolExecutor(workers) as pool:
        outcomes = pool.map(_outcome, seeds, chunksize=CHUNK)
        return {seed: words for seed, words in outcomes if words}


def _outcome(seed: int) -> tuple[int, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        violations = play(draw(seed))
    return seed, "; ".join(str(each) for each in violations)


def _tell(seed: int, words: str) -> None:
    story = shorten(draw(seed))
    print(f"\nseed {seed}: {words}")
    print(story)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
