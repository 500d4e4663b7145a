"""Operators against the cases that the ONNX standard brings along, and files that were made for it."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import pytest
import torch
from onnx import numpy_helper

from nnmass.errors import ModelError
from nnmass.tracing.onnx_file import read_onnx
from nnmass.tracing.onnx_module import _OPERATORS
from nnmass.tracing.onnx_node import DTYPES

FILES = Path(onnx.__file__).parent / "backend" / "test" / "data"
REFUSED = {
    "AveragePool: dilation",
    "BatchNormalization: training mode",
    "ConvTranspose: an output shape or automatic padding",
    "DequantizeLinear: a scale per block",
    "Dropout: training mode",
    "QuantizeLinear: a scale per block",
    "Resize: mode cubic with align_corners coordinates and these options and sizes",
    "Resize: mode cubic with asymmetric coordinates and these options and sizes",
    "Resize: mode cubic with half_pixel coordinates and these options and sizes",
    "Resize: mode linear with align_corners coordinates and these options and sizes",
    "Resize: mode linear with half_pixel coordinates and these options and sizes",
    "Resize: mode linear with half_pixel_symmetric coordinates and these options and sizes",
    "Resize: mode linear with pytorch_half_pixel coordinates and these options and sizes",
    "Resize: mode linear with tf_crop_and_resize coordinates and these options and sizes",
    "Resize: nearest with align_corners coordinates and floor",
    "Resize: nearest with asymmetric coordinates and round_prefer_ceil",
    "Resize: nearest with half_pixel coordinates and ceil",
    "Resize: nearest with half_pixel coordinates and round_prefer_floor",
    "Resize: resizing by aspect ratio",
    "ScatterND: reduction add",
    "ScatterND: reduction max",
    "ScatterND: reduction min",
    "ScatterND: reduction mul",
}
"""What is refused of operators that are understood otherwise."""

KERNEL = np.random.default_rng(1).standard_normal((2, 3, 2, 3)).astype(np.float32)
FAIL = {"test_reduce_max_empty_set", "test_reduce_max_empty_set_bool", "test_reduce_min_empty_set"}


def cases() -> Iterator[Any]:
    """Cases of one node each with ordinary tensors, whose other types of numbers are PyTorch's too."""
    with np.errstate(all="ignore"):
        from onnx.backend.test.case.node import collect_testcases

        for case in collect_testcases(None):
            graph = case.model.graph if case.model else None
            if graph and len(graph.node) == 1 and graph.node[0].op_type in _OPERATORS and "_expanded" not in case.name:
                yield case


def array_of(value: Any) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def with_constants(case: Any, inputs: list[Any]) -> tuple[onnx.ModelProto, list[torch.Tensor]]:
    """The model of a case with all inputs but the first, if that is one, as constants."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    del model.graph.input[:]
    del model.graph.output[1 if case.model.graph.node[0].op_type != "Split" else 99 :]  # means, masks, ...
    given = []
    for value, array in zip(case.model.graph.input, inputs, strict=True):
        if array.dtype.kind == "f" and not given:
            model.graph.input.append(value)
            given.append(torch.from_numpy(array.copy()))
        else:
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
    return model, given


def one_node(
    folder: Path,
    opset: int,
    operator: str,
    *,
    constant: np.ndarray | None = None,
    outputs: tuple[str, ...] = ("y",),
    **options: Any,
) -> onnx.ModelProto:
    """Save a graph of one node as net.onnx; all its inputs but the first are one constant."""
    count = 0 if constant is None else {"BatchNormalization": 4, "GroupNormalization": 2}.get(operator, 1)
    inputs = ["x", *([""] if operator == "Resize" and opset > 10 else []), *["c"] * count]
    node = onnx.helper.make_node(operator, inputs, outputs, name="it", **options)
    values = {name: onnx.helper.make_tensor_value_info(name, 1, None) for name in ("x", *outputs)}
    stored = [] if constant is None else [numpy_helper.from_array(constant, "c")]
    graph = onnx.helper.make_graph([node], "g", [values["x"]], [values[name] for name in outputs], stored)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    onnx.save(model, folder / "net.onnx")
    return model


def close(found: torch.Tensor, expected: Any) -> bool:
    expected = np.asarray(expected)
    if tuple(found.shape) != expected.shape or (found.dtype is torch.bfloat16) != (expected.dtype.name == "bfloat16"):
        return False
    tolerance = 1e-2 if found.dtype is torch.bfloat16 else 1e-3 if found.dtype is torch.float16 else 2e-4
    numbers = found.detach().to(torch.float64).numpy()
    return np.allclose(numbers, expected.astype(np.float64), rtol=tolerance, atol=1e-4, equal_nan=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the standard's own arithmetic
def test_operators_compute_what_the_standard_says(tmp_path):
    outcomes, refused, wrong, failed = Counter(), set(), [], set()
    for case in cases():
        [(inputs, outputs)] = case.data_sets
        if any(
            isinstance(value, list) or getattr(value, "data_type", 1) not in DTYPES for value in (*inputs, *outputs)
        ):
            continue  # sequences, and numbers of few bits
        model, given = with_constants(case, [array_of(value) for value in inputs])
        onnx.save(model, tmp_path / "case.onnx")
        operator = case.model.graph.node[0].op_type
        try:
            found = read_onnx(tmp_path / "case.onnx")[0](*given)
        except ModelError as error:
            if "tensor" not in str(error) and "operator set" not in str(error):  # unsigned numbers and strings
                reason = str(error).partition("): ")[2].removesuffix(" is not understood").rstrip(",")
                refused.add(f"{operator}: {reason}")
        except IndexError:
            failed.add(case.name)
        else:
            outcomes[operator] += 1
            results = found if isinstance(found, tuple) else (found,)
            if not all(map(close, results, map(array_of, outputs))):
                wrong.append(case.name)
    assert wrong == []
    assert refused == REFUSED
    assert failed == FAIL
    assert outcomes.total() > 450
    assert set(_OPERATORS) - set(outcomes) == {"Not"}  # whose cases are too old


@pytest.mark.parametrize(
    ("opset", "operator", "attributes"),
    [
        (6, "Clip", {"min": -0.5, "max": 0.5}),
        (6, "Clip", {"min": 0.0}),
        (9, "Slice", {"starts": [1, -2], "ends": [9, 6], "axes": [1, 3]}),
        (9, "Slice", {"starts": [0, 1], "ends": [1, 2]}),
        (10, "Pad", {"pads": [0, 1, 2, 0, 0, 0, 1, 3], "value": 0.5}),
        (10, "Pad", {"pads": [0, 0, 2, 1, 0, 0, 1, 3], "mode": "reflect"}),
        (11, "Squeeze", {"axes": [0]}),
        (11, "Unsqueeze", {"axes": [0, 5]}),
        (11, "Split", {"split": [1, 2]}),
        (11, "ReduceMean", {"axes": [-1, 2], "keepdims": 0}),
        (11, "ReduceMean", {}),
        (13, "Flatten", {"axis": -1}),
        (13, "Conv", {"constant": KERNEL, "auto_pad": "VALID"}),
        (13, "Conv", {"constant": KERNEL, "pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ],
)
def test_options_of_earlier_versions_are_those_of_the_reference(tmp_path, opset, operator, attributes):
    outputs = ["y", "z"] if operator == "Split" else ["y"]
    axis = {"axis": 1} if operator == "Split" else {}
    model = one_node(tmp_path, opset, operator, outputs=outputs, **attributes, **axis)
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 6)).astype(np.float32)
    found = read_onnx(tmp_path / "net.onnx")[0](torch.from_numpy(x))
    expected = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})
    assert all(map(close, found if isinstance(found, tuple) else (found,), expected))


@pytest.mark.parametrize("axis", [1, 2, -2])
def test_softmax_was_over_all_axes_from_one_on(tmp_path, axis):
    x = torch.randn(2, 3, 4)
    for operator, function in (("Softmax", torch.softmax), ("LogSoftmax", torch.log_softmax)):
        one_node(tmp_path, 12, operator, axis=axis)
        expected = function(x.flatten(axis), -1).reshape(x.shape)
        torch.testing.assert_close(read_onnx(tmp_path / "net.onnx")[0](x), expected)


@pytest.mark.parametrize(("opset", "operator"), [(9, "Upsample"), (10, "Resize")])
@pytest.mark.parametrize("scales", [(1, 1, 2, 3), (1, 1, 2.5, 1), (1, 1, 1, 0.5)])
def test_resizing_took_the_number_below(tmp_path, opset, operator, scales):
    one_node(tmp_path, opset, operator, constant=np.array(scales, dtype=np.float32))
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    rows = [int(i / scales[2]) for i in range(int(3 * scales[2]))]
    columns = [int(i / scales[3]) for i in range(int(4 * scales[3]))]
    assert torch.equal(read_onnx(tmp_path / "net.onnx")[0](x), x[:, :, rows][..., columns])


@pytest.mark.parametrize(
    ("opset", "operator", "options", "reason"),
    [
        (13, "Resize", {"constant": np.float32([2, 1, 1, 1])}, "resizing channels"),
        (
            13,
            "Resize",
            {"constant": np.float32([1, 1, 0.3, 1]), "coordinate_transformation_mode": "align_corners"},
            "nearest with align_corners coordinates",
        ),
        (8, "BatchNormalization", {"constant": np.ones(3, np.float32), "spatial": 0}, "a norm of every number"),
        (13, "Cast", {"to": 17}, "type 17"),
    ],
)
def test_other_options_are_refused(tmp_path, opset, operator, options, reason):
    one_node(tmp_path, opset, operator, **options)
    module, *_ = read_onnx(tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=rf"^{operator} \(node it\): {reason}.* is not understood$"):
        module(torch.ones(1, 3, 4, 4))


def test_groups_had_one_scale_each(tmp_path):
    one_node(tmp_path, 18, "GroupNormalization", constant=np.float32([2]), num_groups=1)
    x = torch.randn(2, 3, 4)
    found = read_onnx(tmp_path / "net.onnx")[0](x)
    torch.testing.assert_close(found, 2 * torch.nn.functional.group_norm(x, 1) + 2)


def test_truth_is_turned(tmp_path):
    one_node(tmp_path, 13, "Not")
    assert read_onnx(tmp_path / "net.onnx")[0](torch.tensor([True, False])).tolist() == [False, True]


@pytest.mark.parametrize("folder", ["pytorch-converted", "pytorch-operator"])
def test_files_from_pytorch_compute_what_they_did(folder):
    num_equal = 0
    for file in sorted((FILES / folder).glob("*/model.onnx")):
        inputs, outputs = (
            [numpy_helper.to_array(onnx.load_tensor(path)) for path in sorted(file.parent.glob(f"*/{kind}_*.pb"))]
            for kind in ("input", "output")
        )
        try:
            module, *_ = read_onnx(file)
        except ModelError as error:
            assert re.search(r"(broadcasting .*|operator \S+ .*|inputs are) understood$", str(error))  # noqa: PT017
            continue
        found = module(*(torch.from_numpy(array.copy()) for array in inputs))
        results = found if isinstance(found, tuple) else (found,)
        assert all(map(close, results, outputs)), file.parent.name
        num_equal += 1
    assert num_equal > {"pytorch-converted": 75, "pytorch-operator": 24}[folder]


@pytest.mark.parametrize("name", ["densenet121", "inception_v2", "resnet50", "shufflenet", "squeezenet"])
def test_networks_of_other_frameworks_compute_what_they_did(name):
    module, [size], _ = read_onnx(FILES / "light" / f"light_{name}.onnx")
    expected = numpy_helper.to_array(onnx.load_tensor(FILES / "light" / f"light_{name}_output_0.pb"))
    with torch.no_grad():
        assert close(module(torch.ones(size)), expected)
