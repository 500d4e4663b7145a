"""Networks handed over: stand-alone code, ONNX, `torch.export` programs, and models of timm (`timm_models`)."""

from nnmass.export.comparison import TOLERANCE
from nnmass.export.formats import export_onnx, export_program
from nnmass.export.hand_over import FORMATS, Format, HandOver, hand_over
from nnmass.export.standalone import standalone_code

__all__ = [
    "FORMATS",
    "TOLERANCE",
    "Format",
    "HandOver",
    "export_onnx",
    "export_program",
    "hand_over",
    "standalone_code",
]
