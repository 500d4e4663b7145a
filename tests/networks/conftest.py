from collections.abc import Callable

import pytest
import torch
from torch import nn

from nnmass import Specification


@pytest.fixture
def scrambled() -> Callable[[Specification], nn.Module]:
    """Builds networks in double precision whose norms are not the identity."""

    @torch.no_grad()
    def build(spec: Specification) -> nn.Module:
        model, generator = spec.build(1).double(), torch.Generator().manual_seed(0)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.weight, module.bias, module.running_mean):
                    values.normal_(generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
        return model

    return build
