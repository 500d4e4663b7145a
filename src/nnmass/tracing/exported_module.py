"""The graph of an exported program as a module."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from nnmass.errors import ModelError
from nnmass.tracing.exported_arguments import DEVICE, DTYPES, Name, argument, filled
from nnmass.tracing.parts import part_at, register_tensors, tensors_of

_OPENS_FILES = {"from_file", "save"}
_ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.floordiv, operator.truediv, operator.mod)
_COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
_LOGIC = (operator.and_, operator.or_, operator.not_, operator.neg)
_SYMBOLIC = (torch.sym_max, torch.sym_min, torch.sym_int, torch.sym_float, torch.sym_not)
_ON_SIZES: dict[str, Callable[..., Any]] = {
    **{f"_operator.{function.__name__}": function for function in _ARITHMETIC + _COMPARISONS + _LOGIC},
    **{f"torch.{function.__name__}": function for function in _SYMBOLIC},
}


@dataclass(frozen=True)
class _Node:
    function: Callable[..., Any]
    positional: list[Any]
    keyword: dict[str, Any]
    results: Any
    place: str


class ExportedModule(nn.Module):
    """Runs the graph of an exported program, node by node, with PyTorch's own operators and no other code.

    Tensors and operators have the places that they had in the original module; its structure is `Part` by `Part` there.
    Its inputs are the tensors of the exported call in order, however they were nested there; its result is the tensor,
    or the tuple of tensors, that the call gave.  The program's guards are not checked.

    Args:
        graph: ``Graph`` of PyTorch's serialization schema.
        signature: ``GraphSignature`` of it.
        tensors: parameters, buffers and constants by their names in the original module.

    Raises:
        ModelError: the graph uses other operators, control flow or custom objects, or takes other inputs than tensors.
    """

    def __init__(
        self, graph: Mapping[str, Any], signature: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
    ) -> None:
        super().__init__()
        self.input_names: list[str] = []
        self.input_types: tuple[torch.dtype, ...] = ()
        self._own: dict[str, str] = {}
        self._numbers: dict[str, Any] = {}
        self._nodes = [_node(node) for node in graph["nodes"]]
        results = [spec["user_output"]["arg"] for spec in signature["output_specs"] if "user_output" in spec]
        self._results = [argument(result) for result in results]
        names = register_tensors(self, tensors)
        self._places = {node.place: part_at(self, node.place) for node in self._nodes if node.place}
        for spec in signature["input_specs"]:
            self._add_input(spec, graph, names)

    def _add_input(self, spec: Mapping[str, Any], graph: Mapping[str, Any], names: Mapping[str, str]) -> None:
        [(kind, content)] = spec.items()
        if kind in {"parameter", "buffer", "tensor_constant"}:
            self._own[content["arg"]["name"]] = names[content[f"{kind}_name"]]
        elif kind == "user_input" and "as_tensor" in content["arg"]:
            name = content["arg"]["as_tensor"]["name"]
            self.input_types += (DTYPES[graph["tensor_values"][name]["dtype"]],)
            self.input_names.append(name)
        elif kind == "constant_input":
            self._numbers[content["name"]] = argument(content["value"])
        else:
            raise ModelError(f"an input is a {kind} of another kind than a tensor, which is not understood")

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Run the graph."""
        if len(inputs) != len(self.input_names):
            raise ModelError(f"the program takes {len(self.input_names)} tensors, got {len(inputs)}")
        tensors = tensors_of(self)
        values = {name: tensors[own] for name, own in self._own.items()}
        values |= self._numbers | dict(zip(self.input_names, inputs, strict=True))
        values[DEVICE.name] = inputs[0].device if inputs else torch.device("cpu")
        for node in self._nodes:
            keyword = {key: filled(value, values) for key, value in node.keyword.items()}
            run = partial(node.function, *filled(node.positional, values), **keyword)
            _assign(values, node.results, self._places[node.place](run) if node.place else run())
        results = tuple(filled(self._results, values))
        return results[0] if len(results) == 1 else results


def _node(node: Mapping[str, Any]) -> _Node:
    function = _function(node["target"])
    arguments = [(given["name"], argument(given["arg"])) for given in node["inputs"]]
    names = [argument(output) for output in node["outputs"]]
    results = names[0] if len(names) == 1 else names or None
    place = _place(node["metadata"])
    if node["target"] in _ON_SIZES:
        return _Node(function, [value for _, value in arguments], {}, results, place)
    return _Node(function, [], dict(arguments), results, place)


def _place(metadata: Mapping[str, str]) -> str:
    """Path of the module that ran an operator, the last one of ``L__self__conv1,conv1,torch.nn.Conv2d;...``."""
    fields = metadata.get("nn_module_stack", "").rpartition(";")[2].split(",")
    return fields[1] if len(fields) > 1 else ""


def _function(target: str) -> Callable[..., Any]:
    if target in _ON_SIZES:
        return _ON_SIZES[target]
    match = re.fullmatch(r"torch\.ops\.aten\.(\w+)\.(\w+)", target)
    if match and match[1] not in _OPENS_FILES:
        function = getattr(getattr(torch.ops.aten, match[1], None), match[2], None)
        if isinstance(function, torch._ops.OpOverload):
            return function
    raise ModelError(f"operator {target} is not understood; only PyTorch's own (torch.ops.aten) are")


def _assign(values: dict[str, Any], names: Any, result: Any) -> None:
    if isinstance(names, Name):
        values[names.name] = result
    elif isinstance(names, list):
        for name, part in zip(names, result, strict=True):
            _assign(values, name, part)
