"""Where models come from: timm, torchvision, Python files, ``torch.export`` programs and ONNX files."""

from nnmass.loading.loaded_model import LoadedModel
from nnmass.loading.sources import load_model, model_names

__all__ = ["LoadedModel", "load_model", "model_names"]
