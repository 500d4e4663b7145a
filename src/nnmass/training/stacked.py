"""Training many small DenseMLPs at once.

A step of a network of width 8 costs far more in calls than in arithmetic.  Here networks of different depth and skips,
with one width and one order of batches, take each step together.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nnmass.architectures import DenseMLP
from nnmass.data import Dataset
from nnmass.devices import find_device
from nnmass.errors import InvalidValueError
from nnmass.networks import DenseMLPNetwork
from nnmass.training.batches import check_fits, to_tensors
from nnmass.training.config import TrainingConfig
from nnmass.training.loop import Progress, share
from nnmass.training.optimizers import make_optimizer, make_schedule
from nnmass.training.result import TrainingResult
from nnmass.training.stack import StackedDenseMLP


def train_stacked(
    specs: Sequence[DenseMLP],
    data: Dataset,
    config: TrainingConfig | None = None,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> list[TrainingResult]:
    """Train many DenseMLPs that differ in depth, skips and links only.

    Each ends as `train` would leave it with the same seed, up to rounding.  A network whose loss becomes infinite does
    not disturb the others; its losses and accuracies show it (`TrainingResult.train_loss` is then not finite).

    Args:
        specs: the networks: one width, in_features, num_classes and activation.
        data: what to learn.
        config: how to train, without what `TrainingConfig.unstacked` would name.
        seed: draws links, weights and batches, the same for all.
        device: where.
        progress: told of finished epochs, counted over all networks.

    Returns:
        One result per specification, in their order.

    Raises:
        InvalidValueError: specifications that cannot be stacked, augmentation and the like, or a device that there is
            not.
        DataError: the data does not fit them.
    """
    config = config or TrainingConfig()
    if config.unstacked:
        name = config.unstacked[0]
        raise InvalidValueError(f"stacked training has no {name}, got {name}={getattr(config, name)!r}")
    if not specs:
        raise InvalidValueError("no networks to stack")
    for spec in specs:
        if not isinstance(spec, DenseMLP):
            raise InvalidValueError(f"only DenseMLPs can be stacked, got a {spec.family}")
    check_fits(specs[0], data)
    place = find_device(device)
    train_part, validation, test = (
        to_tensors(data, part, device=place, flat=True) for part in (data.train, data.validation, data.test)
    )
    models = [model for spec in specs if isinstance(model := spec.build(seed), DenseMLPNetwork)]
    stack = StackedDenseMLP(models, device=place)
    optimizer = make_optimizer(config, stack.parameters)
    losses: list[Tensor] = []
    accuracies: list[Tensor] = []
    steps = -(-len(train_part) // config.batch_size)
    set_rate = make_schedule(optimizer, config, steps=steps)
    for epoch in range(config.epochs):
        total = torch.zeros(len(models), device=place)
        batches = train_part.batches(batch_size=config.batch_size, seed=seed, epoch=epoch)
        for i, (inputs, labels) in enumerate(batches):
            set_rate(epoch * steps + i)
            total += stack.loss_and_gradients(inputs, labels) * len(labels)
            optimizer.step()
        losses.append(total / len(train_part))
        accuracies.append(stack.answers(validation).double().sum(1) / len(validation))
        if progress:
            progress(len(models))
    answers = stack.answers(test).numpy()
    stack.write_back()
    return [
        TrainingResult(
            spec=model.spec,
            seed=seed,
            config=config,
            train_loss=tuple(float(loss[n]) for loss in losses),
            validation_accuracy=tuple(float(a[n]) for a in accuracies),
            test_accuracy=share(answers[n]),
            answers=answers[n],
            model=model.eval(),
        )
        for n, model in enumerate(models)
    ]
