"""Many small DenseMLPs as batched matrix products.

The outputs of all layers of all networks lie in one buffer (networks, channels, batch); every layer's weights are one
dense stack over all earlier channels, with zeros where there is no link; forward and backward are three batched
products per layer.  Deepest networks come first, so that the networks that have a layer are a leading slice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nnmass.architectures import Activation
from nnmass.errors import InvalidValueError
from nnmass.networks import ACTIVATIONS, DenseMLPNetwork
from nnmass.training.batches import TensorSplit

_EVALUATION_BATCH = 500
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@dataclass
class _Layer:
    """Parameters of one layer of those networks that have it.

    Attributes:
        networks: their positions in the stack, a slice.
        weight: (networks, outputs, channels before), zero where there is no link; layer 0: (networks * width, inputs).
        bias: (networks, outputs, 1).
        mask: 1 where there is a link; None at layer 0.
    """

    networks: slice
    weight: Tensor
    bias: Tensor
    mask: Tensor | None


class StackedDenseMLP:
    """Parameters and gradients of many `DenseMLPNetwork` as batched tensors.

    Attributes:
        parameters: the stacked weights and biases; their ``grad`` is set by `loss_and_gradients`.

    Args:
        models: the networks; their weights are copied, and `write_back` returns them.
        device: where.
    """

    def __init__(self, models: Sequence[DenseMLPNetwork], *, device: torch.device) -> None:
        self._check(models)
        self._order = sorted(range(len(models)), key=lambda n: -models[n].spec.depth)
        self._models = [models[n] for n in self._order]
        spec = self._models[0].spec
        self._width, self._classes = spec.width, spec.num_classes
        self._activation = ACTIVATIONS[spec.activation]
        self._derivative = _DERIVATIVES[spec.activation]
        self._depths = [model.spec.depth for model in self._models]
        self._links = [model.spec.links[0] for model in self._models if model.spec.links is not None]
        count = len(self._models)
        first = torch.cat([model.linear(0).weight.detach() for model in self._models]).to(device)
        self._first = _Layer(slice(0, count), first, self._biases(range(count), 0).to(device), None)
        self._hidden = [
            self._stack(range(sum(depth - 1 > i for depth in self._depths)), i, device)
            for i in range(1, self._depths[0] - 1)
        ]
        self._heads = {
            depth: self._stack([n for n in range(count) if self._depths[n] == depth], depth - 1, device)
            for depth in sorted(set(self._depths), reverse=True)
        }
        layers = [self._first, *self._hidden, *self._heads.values()]
        self.parameters = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
        for tensor in self.parameters:
            tensor.grad = torch.zeros_like(tensor)
        self._buffers: dict[int, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def loss_and_gradients(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of each network on a batch, (networks,); leaves the gradients in ``parameters``.

        Args:
            inputs: (batch, in_features).
            labels: (batch,).
        """
        features, gradients = self._buffer(len(labels), inputs)
        self._forward(inputs, features)
        gradients.zero_()
        losses = features.new_empty(len(self._models))
        target = F.one_hot(labels, self._classes).T.to(features.dtype)
        for depth, head in self._heads.items():
            seen = features[head.networks, : self._width * (depth - 1)]
            log_probabilities = torch.log_softmax(torch.baddbmm(head.bias, head.weight, seen), 1)
            losses[head.networks] = -(log_probabilities * target).sum(1).mean(1)
            to_logits = (log_probabilities.exp() - target) / len(labels)
            self._backward_layer(head, to_logits, seen, gradients[head.networks, : self._width * (depth - 1)])
        for i in range(len(self._hidden), 0, -1):
            layer, w = self._hidden[i - 1], self._width
            to_output = self._derivative(
                gradients[layer.networks, w * i : w * (i + 1)], features[layer.networks, w * i : w * (i + 1)]
            )
            self._backward_layer(
                layer, to_output, features[layer.networks, : w * i], gradients[layer.networks, : w * i]
            )
        to_first = self._derivative(gradients[:, : self._width], features[:, : self._width])
        torch.sum(to_first, 2, keepdim=True, out=self._first.bias.grad)
        torch.mm(to_first.reshape(-1, len(labels)), inputs, out=self._first.weight.grad)
        unordered = torch.empty_like(losses)
        unordered[self._order] = losses
        return unordered

    @torch.no_grad()
    def answers(self, part: TensorSplit) -> Tensor:
        """Whether each network classifies each input of a part rightly, (networks, inputs)."""
        batches = []
        for inputs, labels in zip(
            part.inputs.split(_EVALUATION_BATCH), part.labels.split(_EVALUATION_BATCH), strict=True
        ):
            right = torch.empty(len(self._models), len(labels), dtype=torch.bool)
            features, _ = self._buffer(len(labels), inputs)
            self._forward(inputs, features)
            for depth, head in self._heads.items():
                seen = features[head.networks, : self._width * (depth - 1)]
                guesses = torch.baddbmm(head.bias, head.weight, seen).argmax(1)
                right[head.networks] = (guesses == labels).cpu()
            batches.append(right)
        ordered = torch.cat(batches, 1)
        unordered = torch.empty_like(ordered)
        unordered[self._order] = ordered
        return unordered

    @torch.no_grad()
    def write_back(self) -> None:
        """Copy the weights back into the networks."""
        for n, model in enumerate(self._models):
            for i in range(self._depths[n]):
                layer, linear = self._layer(n, i), model.linear(i)
                row = n - layer.networks.start
                if i == 0:
                    linear.weight.copy_(layer.weight[n * self._width : (n + 1) * self._width])
                else:
                    linear.weight.copy_(layer.weight[row][:, self._columns(n, i)])
                linear.bias.copy_(layer.bias[row, :, 0])

    def _forward(self, inputs: Tensor, features: Tensor) -> None:
        """Fill ``features`` (networks, channels, batch) with the activations of all hidden layers."""
        w = self._width
        first = torch.mm(self._first.weight, inputs.T).view(len(self._models), w, -1)
        features[:, :w] = self._activation(first.add_(self._first.bias))
        for i, layer in enumerate(self._hidden, start=1):
            seen = features[layer.networks, : w * i]
            features[layer.networks, w * i : w * (i + 1)] = self._activation(
                torch.baddbmm(layer.bias, layer.weight, seen)
            )

    @staticmethod
    def _backward_layer(layer: _Layer, to_output: Tensor, seen: Tensor, to_seen: Tensor) -> None:
        """From the gradient of a layer's pre-activation set those of its parameters and add that of what it saw."""
        torch.sum(to_output, 2, keepdim=True, out=layer.bias.grad)
        torch.bmm(to_output, seen.transpose(1, 2), out=layer.weight.grad)
        layer.weight.grad.mul_(layer.mask)  # type: ignore[union-attr,arg-type]
        to_seen.baddbmm_(layer.weight.transpose(1, 2), to_output)

    def _buffer(self, batch: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Activations and their gradients for a batch of this size, (networks, channels, batch) each."""
        if batch not in self._buffers:
            shape = (len(self._models), self._width * (self._depths[0] - 1), batch)
            self._buffers[batch] = (like.new_zeros(shape), like.new_zeros(shape))
        return self._buffers[batch]

    def _stack(self, networks: Sequence[int], i: int, device: torch.device) -> _Layer:
        outputs = self._models[networks[0]].linear(i).out_features if len(networks) else self._width
        weight = torch.zeros(len(networks), outputs, self._width * i, dtype=self._first.weight.dtype)
        mask = torch.zeros_like(weight)
        for row, n in enumerate(networks):
            columns = self._columns(n, i)
            weight[row][:, columns] = self._models[n].linear(i).weight.detach()
            mask[row][:, columns] = 1
        bias = self._biases(networks, i)
        start = networks[0] if len(networks) else 0
        return _Layer(slice(start, start + len(networks)), weight.to(device), bias.to(device), mask.to(device))

    def _biases(self, networks: Sequence[int], i: int) -> Tensor:
        return torch.stack([self._models[n].linear(i).bias.detach() for n in networks])[:, :, None]

    def _columns(self, n: int, i: int) -> list[int]:
        """Channels that layer i of network n reads, in the order of its weight's columns."""
        return [*range(self._width * (i - 1), self._width * i), *self._links[n][i]]

    def _layer(self, n: int, i: int) -> _Layer:
        if i == 0:
            return self._first
        return self._heads[self._depths[n]] if i == self._depths[n] - 1 else self._hidden[i - 1]

    @staticmethod
    def _check(models: Sequence[DenseMLPNetwork]) -> None:
        if not models:
            raise InvalidValueError("no networks to stack")
        for key in ("width", "in_features", "num_classes", "activation"):
            values = sorted({getattr(model.spec, key) for model in models})
            if len(values) > 1:
                raise InvalidValueError(f"networks that are trained in one stack must have one {key}, got {values}")


_aten = torch.ops.aten
_DERIVATIVES: dict[Activation, Callable[[Tensor, Tensor], Tensor]] = {
    # gradient of the activation's output and that output → gradient of its input
    "elu": lambda gradient, output: _aten.elu_backward(gradient, 1.0, 1.0, 1.0, True, output),
    "relu": lambda gradient, output: _aten.threshold_backward(gradient, output, 0),
    "selu": lambda gradient, output: _aten.elu_backward(gradient, _SELU_ALPHA, _SELU_SCALE, 1.0, True, output),
    "tanh": _aten.tanh_backward,
    "linear": lambda gradient, output: gradient,
}
