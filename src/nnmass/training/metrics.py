"""How training went, epoch by epoch: JSON lines, and TensorBoard where it is wanted."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from nnmass import atomic
from nnmass.tracing.libraries import import_library

Row: TypeAlias = dict[str, float]


class Metrics:
    """Writes one row per epoch into ``metrics.jsonl`` of a folder, and the same to TensorBoard.

    Rows of epochs that are trained again after an interruption are replaced.

    Attributes:
        newest: the row that was added last.

    Args:
        folder: made where it is missing.
        tensorboard: whether TensorBoard gets them too, into ``tensorboard`` of the folder.

    Raises:
        ModelError: TensorBoard is wanted, and is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str], *, tensorboard: bool = False) -> None:
        self.path = Path(folder) / "metrics.jsonl"
        self.newest: Row = {}
        self._writer: Any = None
        if tensorboard:
            import_library("tensorboard")
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(Path(folder) / "tensorboard"))

    def rows(self) -> list[Row]:
        """What was written so far; a line that was cut off does not count."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return found

    def add(self, row: Row) -> None:
        """Keep the row of an epoch; ``row["epoch"]`` counts from 1."""
        self.newest = row
        kept = [earlier for earlier in self.rows() if earlier["epoch"] < row["epoch"]]
        atomic.write_text(self.path, "".join(json.dumps(one) + "\n" for one in [*kept, row]))
        if self._writer is not None:
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, int(row["epoch"]))
            self._writer.flush()

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
