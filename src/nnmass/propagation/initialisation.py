"""The random initialisations under which gradient propagation is measured and predicted."""

from dataclasses import dataclass
from numbers import Real
from typing import Literal, Self, TypeAlias, get_args

from nnmass.errors import InvalidValueError
from nnmass.plain_text import plain

Kind: TypeAlias = Literal["default", "he", "glorot", "gaussian", "orthogonal"]

KINDS: tuple[Kind, ...] = get_args(Kind)
LEAST_STD, LARGEST_STD = 1e-15, 1e15
"""Beyond these the squares of weights leave single precision."""
_HOW_TO_WRITE = '"gaussian" needs its standard deviation: write "gaussian:0.35"'


@dataclass(frozen=True)
class Initialisation:
    """How weights and biases are drawn, independently of each other and of the data.

    Fans are those of ``torch.nn.init``: fan_in = in_channels / groups * kernel area, fan_out = out_channels * kernel
    area; a linear layer has kernel area 1.

    | kind         | weights                                                        | biases            |
    |--------------|----------------------------------------------------------------|-------------------|
    | `default`    | uniform on ±1/√fan_in, PyTorch's own                           | as the weights    |
    | `he`         | normal, variance 2 / fan_in (arXiv:1502.01852)                 | 0                 |
    | `glorot`     | normal, variance 2 / (fan_in + fan_out) (Glorot, Bengio 2010)  | 0                 |
    | `gaussian`   | normal, variance std², whatever the fans                       | 0                 |
    | `orthogonal` | semi-orthogonal out × fan_in matrix, gain 1 (arXiv:1312.6120)  | 0                 |

    Attributes:
        kind: one of the above.
        std: standard deviation of the weights, from 1e-15 to 1e15; for `gaussian`, and for no other.

    Raises:
        InvalidValueError: an unknown kind; `gaussian` without a std, or with one out of range; a std for another kind.

    Examples:
        >>> Initialisation.parse("gaussian:0.5").weight_variance(8, 8)
        0.25
        >>> Initialisation("he").weight_variance(8, 16), str(Initialisation("gaussian", 0.35))
        (0.25, 'gaussian:0.35')
    """

    kind: Kind
    std: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidValueError(f"initialisation must be one of {_allowed()}, got {self.kind!r}")
        if self.kind != "gaussian":
            if self.std is not None:
                raise InvalidValueError(
                    f"std is for the gaussian initialisation, not for {self.kind}, got {self.std!r}"
                )
            return
        if self.std is None:
            raise InvalidValueError(_HOW_TO_WRITE)
        if not isinstance(self.std, Real) or not LEAST_STD <= self.std <= LARGEST_STD:
            allowed = f"from {LEAST_STD:g} to {LARGEST_STD:g}"
            raise InvalidValueError(f"std of the gaussian initialisation must lie {allowed}, got {self.std!r}")
        object.__setattr__(self, "std", float(self.std))

    @classmethod
    def parse(cls, text: "str | Initialisation") -> Self:
        """Read what ``str`` writes: a kind, and for `gaussian` its std after a colon.

        Args:
            text: ``"he"``, ``"gaussian:0.35"``, ...; an initialisation is returned as it is.

        Raises:
            InvalidValueError: it is neither.

        Examples:
            >>> Initialisation.parse("orthogonal")
            Initialisation(kind='orthogonal', std=None)
        """
        if isinstance(text, cls):
            return text
        if not isinstance(text, str):
            raise InvalidValueError(f"initialisation must be one of {_allowed()}, got {text!r}")
        kind, colon, number = text.partition(":")
        if kind not in KINDS or (colon and kind != "gaussian"):
            raise InvalidValueError(f"initialisation must be one of {_allowed()}, got {plain(text)!r}")
        if not colon:
            return cls(kind)
        try:
            std = float(number)
        except ValueError:
            raise InvalidValueError(
                f'std of the gaussian initialisation must be a number as in "gaussian:0.35", got {plain(text)!r}'
            ) from None
        return cls(kind, std)

    def __str__(self) -> str:
        return self.kind if self.std is None else f"{self.kind}:{self.std!r}"

    def weight_variance(self, fan_in: float, fan_out: float, *, kernel_area: int = 1) -> float:
        """Mean square of a weight.

        Of an orthogonal matrix of R = fan_out / kernel area rows and C = fan_in columns either the rows or the columns
        have norm 1, whichever are fewer: 1 / max(R, C).

        Args:
            fan_in: weights per output, > 0; may be real, as that of an average layer is.
            fan_out: as ``torch.nn.init`` counts it, > 0.
            kernel_area: taps of a kernel; only the orthogonal initialisation depends on it.

        Raises:
            InvalidValueError: a fan or the kernel area is not positive.

        Examples:
            >>> Initialisation("orthogonal").weight_variance(4 * 9, 8 * 9, kernel_area=9)  # 8 rows, 36 columns
            0.027777777777777776
        """
        for name, value in (("fan_in", fan_in), ("fan_out", fan_out), ("kernel_area", kernel_area)):
            if not value > 0:
                raise InvalidValueError(f"{name} must be positive, got {value!r}")
        match self.kind:
            case "default":
                return 1 / (3 * fan_in)
            case "he":
                return 2 / fan_in
            case "glorot":
                return 2 / (fan_in + fan_out)
            case "orthogonal":
                return 1 / max(fan_out / kernel_area, fan_in)
        assert self.std is not None  # a gaussian has one
        return self.std**2

    def bias_variance(self, fan_in: float) -> float:
        """Mean square of a bias: 1 / (3 fan_in) for `default`, else 0.

        Raises:
            InvalidValueError: fan_in is not positive.
        """
        return self.weight_variance(fan_in, 1) if self.kind == "default" else 0.0

    @property
    def excess_kurtosis(self) -> float:
        """Excess kurtosis of a weight, E w⁴ / (E w²)² - 3: -1.2 for the uniform `default`, 0 for normal weights.

        Orthogonal weights have their own law; theirs is given as 0.
        """
        return -1.2 if self.kind == "default" else 0.0


def _allowed() -> str:
    return ", ".join(f"{kind}:STD" if kind == "gaussian" else kind for kind in KINDS)
