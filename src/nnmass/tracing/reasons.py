"""Why a model is refused."""

ATTENTION = "product of data with data (attention)"
GATED = "product of the outputs of two layers"
DYNAMIC = "weights that depend on the data"
LINEAR_OVER_POSITIONS = "linear layer over positions (mixer) or parts of the channels"
CONVOLUTION_OVER_POSITIONS = "convolution over positions or parts of the channels"
GROUPED_MATRICES = "one matrix per group"
CONSTANT_PRODUCT = "a constant product added to data"
POSITIONS_JOINED = "concatenation of positions"
OVER_CHANNELS = "reduces all channels to one"
PARTLY_WRITTEN = "writes into a part of a tensor"
NUMBERS = "does what needs the numbers of its tensors"
RECURRENT = "a recurrent layer"
RANDOM = "random numbers from Python or NumPy"
RESOLUTIONS = "merges across resolutions"

TELLING = (ATTENTION, RECURRENT)
"""What a model is known for: named first where a model is refused for several reasons."""
