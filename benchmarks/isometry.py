"""Layerwise isometry beside the published code, and of a DenseCNN, which the published code cannot do.

MLP: the network of width 8, depth 16, t = 20 on MNIST's 10,000 test images.  Published: ``Dense_MLP.isometry`` in
batches of 100, as ``ldi.py`` calls it.  Ours: `nnmass.isometry` of the same specification's network, all images at
once.  Both in one thread, CPU time.  Agreement: the published network's own weights, inputs of layers and derivative
(which is not that of ELU) are given to our `singular_values`; the mean over all layers must be the published one.

CNN: `nnmass.isometry` of the DenseCNN 32/64/128, depth 13, 64 random images of 32×32, with all cores.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from measuring import parser, ratios, save, seconds, show_targets, shown, spread, target
from nnmass import DenseCNN, DenseMLP, isometry, load_data
from nnmass.errors import NNMassError
from nnmass.propagation import singular_values
from published import load_model_zoo, seed_everything

TARGET, EQUAL, DEFAULT_SECONDS, CNN_SECONDS = 60, 1e-6, 1.0, 60.0
MLP = DenseMLP(width=8, depth=16, max_skips=20)
CNN = DenseCNN(widths=(32, 64, 128), depth=13, max_skips=(40, 80, 125))
BATCH = 100
TIMED = {
    "published": "Dense_MLP.isometry of 10,000 MNIST test images in batches of 100; process time, one thread",
    "ours": "nnmass.isometry of spec.build(0) and the same images; process time, one thread",
    "default": "nnmass.isometry(spec): 64 inputs, 16 initialisations, building included; wall clock, one thread",
    "cnn": "nnmass.isometry of spec.build(0) and 64 random images, default probes and steps; wall clock, all cores",
}


def cpu_seconds(function: Callable[[], Any]) -> float:
    """Process time of one call, all threads."""
    start = time.process_time()
    function()
    return time.process_time() - start


def published_mean(model: Any, images: Tensor) -> float:
    """Mean over batches of what the published network says of itself."""
    means = [float(model.isometry(batch)[0]) for batch in images.split(BATCH)]
    return sum(means) / len(means)


def published_inputs(model: Any, x: Tensor) -> list[Tensor]:
    """What the published ``isometry`` takes φ′ at, layer by layer: its own forward pass, written again."""
    phi = model.act_function
    read = [model.features[0](x), phi(model.features[0](x))]
    outputs = [read[1], model.features[1](read[1])]
    earlier = outputs[0]
    for i in range(2, model.net_depth):
        joined = outputs[-1]
        if model.layer_tc[i] > 0:
            joined = torch.cat([joined, earlier[:, model.link_dict[i]]], 1)
        read.append(joined)
        earlier = torch.cat([outputs[-1], earlier], 1)
        outputs.append(model.features[i](phi(joined) if i < model.net_depth - 1 else joined))
    return read


def ours_on_published(model: Any, images: Tensor) -> float:
    """Mean over all layers and images of our singular values with the published derivative."""
    parts = []
    for i, read in enumerate(published_inputs(model, images)):
        slope = torch.where(read > 0, read.exp(), 0)  # published: ELU's derivative is where(x > 0, 1, exp(x))
        weight = model.features[i].weight
        if i == 0:
            parts.append(singular_values(weight.T, slope))  # published: at the layer's output
        else:
            parts.append(singular_values(weight, torch.ones_like(slope) if i == 1 else slope))
    return float(torch.cat(parts, 1).mean())


def main() -> None:
    """Measure, print and write."""
    arguments = parser("isometry", "Layerwise isometry beside the published code.").parse_args()
    try:
        data = load_data("mnist", download=False)
    except NNMassError as error:
        raise SystemExit(f"isometry.py: {error}") from None
    images = torch.tensor(data.test.inputs).float().flatten(1) / 255
    zoo = load_model_zoo(arguments.published)
    seed_everything(arguments.seed)
    published = zoo.Dense_MLP(MLP.width, MLP.depth, MLP.cells[0].max_skips, input_dims=784, num_classses=10)
    model, cnn = MLP.build(arguments.seed), CNN.build(arguments.seed)
    pictures = torch.randn(64, *CNN.input_shape, generator=torch.Generator().manual_seed(arguments.seed))
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {"published": [], "ours": [], "default": [], "cnn": []}
    means: list[float] = []
    isometry(MLP, 2, initialisations=1)
    with torch.no_grad():
        for _ in range(arguments.pairs):
            times["published"].append(cpu_seconds(lambda: means.append(published_mean(published, images))))
            times["ours"].append(cpu_seconds(lambda: isometry(model, images)))
            times["default"].append(seconds(lambda: isometry(MLP)))
        ours = ours_on_published(published, images)
    torch.set_num_threads(cores)
    measured = isometry(cnn, pictures)
    times["cnn"] = [seconds(lambda: isometry(cnn, pictures)) for _ in range(arguments.pairs)]
    difference = abs(ours - means[0]) / means[0]
    ratio = ratios(times["published"], times["ours"])
    largest = max(layer.error / layer.mean for layer in measured.layers)
    targets = {
        "CPU time, times the published code": target(ratio, at_least=TARGET),
        "relative difference of the mean with the published derivative": target(spread([difference]), at_most=EQUAL),
        "seconds of 64 inputs × 16 initialisations": target(spread(times["default"]), at_most=DEFAULT_SECONDS),
        f"seconds of a DenseCNN on {cores} cores": target(spread(times["cnn"]), at_most=CNN_SECONDS),
    }
    print(f"times published   {shown(ratio, 1)}")
    print(f"largest stated error of a CNN layer {largest:.2%}, of the hidden mean {measured.error / measured.mean:.3%}")
    show_targets(targets)
    save(
        arguments,
        {
            "timed": TIMED,
            "seconds": times,
            "ratio": ratio,
            "published_mean": means[0],
            "our_mean_of_the_published_network": ours,
            "cnn": measured.to_dict(),
            "cnn_largest_relative_error_of_a_layer": largest,
            "targets": targets,
        },
    )


if __name__ == "__main__":
    main()
