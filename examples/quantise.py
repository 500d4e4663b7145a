"""From a compressed network to 8-bit integers: compress, train, export, quantise, and see what is left.

    python examples/quantise.py

A network for scikit-learn's digits is compressed at equal NN-Mass, trained for some epochs, written as ONNX, and its
weights and activations are quantised by ONNX Runtime with a few hundred training images for calibration.
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import nnmass
import nnmass.data
from nnmass.export import export_onnx

EPOCHS, CALIBRATION = 8, 300


class Images(CalibrationDataReader):
    """Training images for ONNX Runtime, one at a time."""

    def __init__(self, images: np.ndarray) -> None:
        self.feeds: Iterator[dict[str, np.ndarray]] = ({"input": image[None]} for image in images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next image."""
        return next(self.feeds, None)


def normalised(images: np.ndarray, data: nnmass.data.Dataset) -> np.ndarray:
    """Images as the network was trained on them."""
    mean, std = (np.array(part, np.float32)[:, None, None] for part in (data.mean, data.std))
    return ((images - mean) / std).astype(np.float32)


def accuracy(path: Path, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images that an ONNX network classifies as labelled."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    logits = session.run(None, {"input": images})[0]
    return float((logits.argmax(1) == labels).mean())


def main() -> None:
    """Run the example and print a table."""
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser's advice
    reference = nnmass.load_spec(Path(__file__).with_name("digits_cnn.json"))
    small = nnmass.compress(reference).spec
    data = nnmass.load_data("digits")
    trained = nnmass.train(small, data, nnmass.TrainingConfig(epochs=EPOCHS), seed=0).model
    images, labels = normalised(data.test.inputs, data), data.test.labels
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.onnx" for name in ("float32", "prepared", "int8")}
        export_onnx(trained, small.input_shape, files["float32"])
        quant_pre_process(str(files["float32"]), str(files["prepared"]))
        quantize_static(
            str(files["prepared"]),
            str(files["int8"]),
            Images(normalised(data.train.inputs[:CALIBRATION], data)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        print(f"{'':10}{'MACs':>12}{'file':>12}{'test accuracy':>16}")
        print(f"{'reference':10}{reference.macs:12,}")
        for name in ("float32", "int8"):
            size = files[name].stat().st_size
            print(f"{name:10}{small.macs:12,}{size:12,}{accuracy(files[name], images, labels):16.2%}")


if __name__ == "__main__":
    main()
