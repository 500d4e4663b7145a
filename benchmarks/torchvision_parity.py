"""ResNets and MobileNetV2s beside torchvision's: names, parameters, MACs, and outputs with torchvision's weights.

Needs torchvision (``pip install '.[models]'``).
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from nnmass import MobileNetV2, ResNet, Specification
from nnmass.atomic import write_json
from nnmass.provenance import provenance
from nnmass.tracing.libraries import import_library

RESNETS: dict[str, dict[str, int]] = {
    **{f"resnet{depth}": {"depth": depth} for depth in (18, 34, 50, 101, 152)},
    "resnext50_32x4d": {"depth": 50, "groups": 32, "width_per_group": 4},
    "resnext101_64x4d": {"depth": 101, "groups": 64, "width_per_group": 4},
    "wide_resnet50_2": {"depth": 50, "width_per_group": 128},
    "wide_resnet101_2": {"depth": 101, "width_per_group": 128},
}
WIDTHS = (0.25, 0.5, 0.75, 1.0, 1.3, 1.4)


def compare(spec: Specification, theirs: Any) -> dict[str, Any]:
    """Hold one specification and its network against torchvision's network."""
    ours: Any = spec.build(0)
    weights = theirs.state_dict()
    same_names = list(weights) == list(ours.state_dict())
    ours.load_state_dict(weights)
    image = torch.randn(1, *spec.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        expected = theirs.eval()(image)
    with torch.no_grad():
        difference = float((ours.eval()(image) - expected).abs().max())
    return {
        "nn_mass": spec.nn_mass,
        "params": spec.params,
        "params_of_torchvision": sum(parameter.numel() for parameter in theirs.parameters()),
        "macs": spec.macs,
        "macs_of_torchvision": counter.get_total_flops() // 2,
        "same_names_in_state_dict": same_names,
        "largest_difference_of_outputs": difference,
    }


def main() -> None:
    """Compare, print and write."""
    options = argparse.ArgumentParser(prog="torchvision_parity.py", description="Our networks beside torchvision's.")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/torchvision_parity.json"), help="file")
    arguments = options.parse_args()
    models = import_library("torchvision").models
    rows = {name: compare(ResNet.of_depth(**values), models.get_model(name)) for name, values in RESNETS.items()}
    for width in WIDTHS:
        theirs = models.MobileNetV2(width_mult=width)
        rows[f"mobilenet_v2, width {width:g}"] = compare(MobileNetV2(width_mult=width), theirs)
    for name, row in rows.items():
        equal = row["params"] == row["params_of_torchvision"] and row["macs"] == row["macs_of_torchvision"]
        print(
            f"{name:24} equal: {equal and row['same_names_in_state_dict']}, outputs differ by "
            f"{row['largest_difference_of_outputs']:g}, NN-Mass {row['nn_mass']:.2f}"
        )
    header = provenance(seed=0) | {"torchvision": import_library("torchvision").__version__}
    print(f"written to {write_json(arguments.out, header | {'networks': rows})}")


if __name__ == "__main__":
    main()
