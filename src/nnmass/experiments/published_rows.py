"""Published models with what the analyser says of each; a stopped run goes on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from nnmass import atomic
from nnmass.errors import RefusedError, StoreError, WorkerError
from nnmass.experiments.published_models import PublishedModel
from nnmass.files import read_json
from nnmass.processes import Died, in_processes, number_of_workers
from nnmass.tracing import analyze, load_model

Outcome: TypeAlias = Literal["answered", "uninformative", "refused"]
AnalysisProgress: TypeAlias = Callable[[int, int], None]
"""Called with architectures done and architectures in all."""

_TOLERANCE = 0.006
"""Millions of parameters, which are published with two decimals."""


@dataclass(frozen=True)
class Analysis:
    """What the analyser says of an architecture at an image size.

    Attributes:
        outcome: answered; uninformative, which is a mass of 0; or refused.
        reason: why it was not answered.
        nn_mass: NN-Mass; None where it was refused, as below.
        density: skips as a share of those possible.
        params: parameters.
        macs: multiply-accumulates of one image.
    """

    outcome: Outcome
    reason: str = ""
    nn_mass: float | None = None
    density: float | None = None
    params: int | None = None
    macs: int | None = None


Analyser: TypeAlias = Callable[[str, int], Analysis]
"""Takes an architecture, by its timm name without tag, and an image size in pixels; runs in worker processes."""


def analyse(architecture: str, image_size: int) -> Analysis:
    """Analyse a timm architecture on images of this size.

    Raises:
        ModelError: timm is not installed, has no such model, or cannot build it.
    """
    loaded = load_model(f"timm:{architecture}", image_size=image_size)
    try:
        report = analyze(loaded.module, input_size=(1, 3, image_size, image_size))
    except RefusedError as error:
        return Analysis("refused", error.reason, params=error.params, macs=error.macs)
    reason = "" if report.outcome == "answered" else "no cell holds a skip"
    return Analysis(report.outcome, reason, report.nn_mass, report.density, report.params, report.macs)


@dataclass(frozen=True)
class PublishedRow:
    """A published model with its analysis.

    Attributes:
        model: timm name with tag.
        group: of equal training.
        image_size: in pixels.
        top1: ImageNet-1k validation accuracy, in per cent.
        outcome: answered, uninformative or refused.
        reason: why it was not answered.
        nn_mass: NN-Mass; None where it was refused, as below.
        density: skips as a share of those possible.
        params: parameters.
        macs: multiply-accumulates of one image.
    """

    model: str
    group: str
    image_size: int
    top1: float
    outcome: Outcome
    reason: str
    nn_mass: float | None
    density: float | None
    params: int | None
    macs: int | None

    @classmethod
    def of(cls, published: PublishedModel, analysis: Analysis) -> Self:
        """Put both together; an analysis whose parameters are not the published ones is a refusal."""
        built, known = (analysis.params or 0) / 1e6, published.params_millions
        if analysis.outcome == "answered" and abs(built - known) > _TOLERANCE:
            analysis = Analysis("refused", f"has {built:.2f}M parameters, but {known:.2f}M are published")
        return cls(published.model, published.group, published.image_size, published.top1, **asdict(analysis))

    @property
    def architecture(self) -> str:
        """The model's name without its tag."""
        return self.model.partition(".")[0]


def published_rows(
    models: Sequence[PublishedModel],
    path: Path,
    *,
    analyser: Analyser = analyse,
    workers: int | None = None,
    progress: AnalysisProgress | None = None,
) -> list[PublishedRow]:
    """Analyse every architecture once at each image size.

    Args:
        models: what was published.
        path: JSON file of the analyses so far, for a call that goes on from an interrupted one; removed at the end.
        analyser: of architectures.
        workers: processes, each with one thread; by default one per core.
        progress: told of architectures.

    Raises:
        StoreError: the file is not one of analyses.
        WorkerError: a process died; everything else is analysed and kept first.
    """
    wanted = list(dict.fromkeys((model.architecture, model.image_size) for model in models))
    known = _read(path)
    missing = [key for key in wanted if _label(*key) not in known]
    tell = progress or (lambda done, total: None)
    tell(len(wanted) - len(missing), len(wanted))
    for done, (key, analysis) in enumerate(_analysed(missing, analyser, workers), len(wanted) - len(missing) + 1):
        known[_label(*key)] = analysis
        atomic.write_json(path, {label: asdict(value) for label, value in known.items()})
        tell(done, len(wanted))
    path.unlink(missing_ok=True)
    return [PublishedRow.of(model, known[_label(model.architecture, model.image_size)]) for model in models]


def _analysed(
    missing: Sequence[tuple[str, int]], analyser: Analyser, workers: int | None
) -> Iterator[tuple[tuple[str, int], Analysis]]:
    workers = number_of_workers(workers)
    if min(workers, len(missing)) <= 1:
        yield from ((key, analyser(*key)) for key in missing)
        return
    lost = ""
    for key, analysis in in_processes(partial(_apply, analyser), missing, workers):
        if isinstance(analysis, Died):
            lost = f"{_label(*key)}: {analysis.reason}"
        else:
            yield key, analysis
    if lost:
        raise WorkerError(f"{lost}; what was finished is kept, and the same call goes on from there")


def _apply(analyser: Analyser, key: tuple[str, int]) -> Analysis:
    return analyser(*key)


def _label(architecture: str, image_size: int) -> str:
    return f"{architecture}, {image_size} pixels"


def _read(path: Path) -> dict[str, Analysis]:
    if not path.exists():
        return {}
    try:
        kept: Mapping[str, Any] = read_json(path, what="such a file")
        return {label: Analysis(**values) for label, values in kept.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise StoreError(f"{path} does not hold analyses of published models ({error}); move it away") from None
