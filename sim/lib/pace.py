"""When a driver offers and a receiver accepts: idle cycles and back-pressure."""

import random
from collections.abc import Callable

Pace = Callable[[], bool]  #: called once a cycle: may a transfer begin in this cycle?


def steady(rng: random.Random) -> Pace:
    """Every cycle."""
    return lambda: True


def even(rng: random.Random) -> Pace:
    """Half of the cycles, each by itself."""
    return lambda: rng.random() < 0.5


def rare(rng: random.Random) -> Pace:
    """One cycle in eight."""
    return lambda: rng.random() < 0.125


def bursts(rng: random.Random) -> Pace:
    """On for 1 to 40 cycles, off for 1 to 40."""
    state = {"on": True, "left": 0}

    def pace() -> bool:
        if state["left"] == 0:
            state.update(on=not state["on"], left=rng.randint(1, 40))
        state["left"] -= 1
        return state["on"]

    return pace


PACES = {"steady": steady, "even": even, "rare": rare, "bursts": bursts}
