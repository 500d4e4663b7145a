"""Members of design spaces, drawn at random."""

import numpy as np

from nnmass.architectures import Specification
from nnmass.designing import Space
from nnmass.designing.problem import Level


def random_member(space: Space, levels: list[Level], generator: np.random.Generator) -> Specification:
    """Draw a member: at every level an entry and an option of its block, each equally likely."""
    state, choices = 0, []
    for level in levels:
        entry = generator.choice(np.flatnonzero(level.entry_state == state))
        block = level.entry_block[entry]
        option = generator.choice(np.flatnonzero(level.block_of == block))
        choices.append(level.choices[option])
        state = int(level.block_state[block])
    return space.specify(choices)
