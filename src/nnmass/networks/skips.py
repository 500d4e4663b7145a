"""Routing of the skip channels of one cell."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nnmass.errors import CheckpointError, InvalidValueError
from nnmass.topology import Cell, CellLinks, check_links


class SkipLinks(nn.Module):
    """The skips of one cell, kept in the state dict, and the cheapest way to gather them.

    Every output is gathered once, when it is made, for all later layers that read it, and the result is split among
    them.  So a forward pass copies S channels, where concatenating all earlier outputs at every layer copies O(d² w).

    Attributes:
        cell: the cell.
        layer_i: buffer of layer i, the channels it skips from (int64, ascending; channel c is output c % width of
            layer c // width).  Layers without skips have none.

    Args:
        cell: the cell.
        links: per layer the channels it skips from.

    Raises:
        InvalidValueError: the links do not fit the cell.
    """

    def __init__(self, cell: Cell, links: CellLinks) -> None:
        super().__init__()
        self.cell = cell
        check_links(cell, links)
        for i, channels in enumerate(links):
            if channels:
                self.register_buffer(f"layer_{i}", torch.tensor(channels, dtype=torch.int64))
        self._plan()
        self.register_load_state_dict_post_hook(_plan_again)  # type: ignore[no-untyped-call]

    @property
    def links(self) -> CellLinks:
        """Per layer the channels it skips from, read from the buffers."""
        buffers = dict(self.named_buffers())
        return tuple(
            tuple(buffers[f"layer_{i}"].tolist()) if f"layer_{i}" in buffers else () for i in range(self.cell.depth)
        )

    def start(self) -> list["LayerInput"]:
        """Empty inputs of the cell's layers, for one forward pass."""
        return [LayerInput() for _ in range(self.cell.depth)]

    def send(self, source: int, output: Tensor, inputs: list["LayerInput"]) -> None:
        """Give the output of layer ``source`` to the layers that read it.

        Args:
            source: the layer.
            output: its output, (batch, width, ...).
            inputs: the inputs of all layers, as collected so far.
        """
        if source + 1 < self.cell.depth:
            inputs[source + 1].direct = output
        if self._readers[source]:
            picks = getattr(self, f"_picks_{source}")
            sizes = self._sizes[source]
            pieces = output.index_select(1, picks).split(sizes, 1)
            for reader, piece, channels in zip(self._readers[source], pieces, picks.split(sizes), strict=True):
                inputs[reader].skips.append(piece)
                inputs[reader].origins.append((source, channels))

    def _plan(self) -> None:
        """Turn "layer i reads these channels" into "of layer j's output these channels go to those layers"."""
        width, depth = self.cell.width, self.cell.depth
        readers: list[list[int]] = [[] for _ in range(depth)]
        sizes: list[list[int]] = [[] for _ in range(depth)]
        picks: list[list[int]] = [[] for _ in range(depth)]
        for i, channels in enumerate(self.links):
            for j in range(i - 1):
                piece = [c % width for c in channels if c // width == j]
                if piece:
                    readers[j].append(i)
                    sizes[j].append(len(piece))
                    picks[j].extend(piece)
        self._readers, self._sizes = readers, sizes
        device = next(self.buffers(), torch.empty(0)).device
        for j, picked in enumerate(picks):
            if picked:
                index = torch.tensor(picked, dtype=torch.int64, device=device)
                self.register_buffer(f"_picks_{j}", index, persistent=False)


def _plan_again(module: SkipLinks, _: object) -> None:
    try:
        check_links(module.cell, module.links)
    except InvalidValueError as error:
        raise CheckpointError(f"the loaded state dict holds links that do not fit this network: {error}") from None
    module._plan()


@dataclass
class LayerInput:
    """What one layer reads in one forward pass.

    Attributes:
        direct: output of the layer before; None at layer 0.
        skips: the skip channels, in pieces that make up the links in order.
        origins: for each piece the layer it comes from and its channels there.
    """

    direct: Tensor | None = None
    skips: list[Tensor] = field(default_factory=list)
    origins: list[tuple[int, Tensor]] = field(default_factory=list)

    def joined(self) -> Tensor:
        """Output of the layer before, then the skip channels: (batch, width + skips, ...)."""
        assert self.direct is not None
        return torch.cat([self.direct, *self.skips], 1) if self.skips else self.direct
