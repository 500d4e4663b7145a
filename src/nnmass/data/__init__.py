"""Data sets with fixed training, validation and test parts: in memory, or streams of images."""

from nnmass.data.augmentation import ImageAugmentation
from nnmass.data.catalogue import DATA_NAMES, load_data
from nnmass.data.dataset import Dataset, Split, set_apart
from nnmass.data.folder import read_folder, read_parquet
from nnmass.data.idx import read_idx
from nnmass.data.labels import largest_share
from nnmass.data.left_out import DataWarning
from nnmass.data.npz import read_npz
from nnmass.data.reduction import reduced
from nnmass.data.stream import Data, ImageStream, StreamPart, open_stream
from nnmass.data.synthetic import circle, linear

__all__ = [
    "DATA_NAMES",
    "Data",
    "DataWarning",
    "Dataset",
    "ImageAugmentation",
    "ImageStream",
    "Split",
    "StreamPart",
    "circle",
    "largest_share",
    "linear",
    "load_data",
    "open_stream",
    "read_folder",
    "read_idx",
    "read_npz",
    "read_parquet",
    "reduced",
    "set_apart",
]
