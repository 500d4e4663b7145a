"""What is done to the images of a stream, by timm's transforms."""

from dataclasses import dataclass
from typing import Any

from nnmass.tracing.libraries import import_library

_SMALL = 64  # pixels: up to here images are cropped with padding, as CIFAR's are


@dataclass(frozen=True)
class ImageAugmentation:
    """How training images are altered; names and defaults as in timm.

    Attributes:
        auto_augment: a policy such as ``"rand-m9-mstd0.5"``; None: none.
        color_jitter: strength; 0: none.
        hflip: probability of a mirror image.
        scale: least share of the area that a crop takes; images of up to 64 pixels are cropped with padding.
        crop_pct: of images to measure on, the share of the side that is kept.
    """

    auto_augment: str | None = None
    color_jitter: float = 0.0
    hflip: float = 0.5
    scale: float = 0.08
    crop_pct: float = 0.875

    def transform(self, image_size: int, *, training: bool) -> Any:
        """A function from a PIL image to uint8 (3, side, side).

        Raises:
            ModelError: timm or torchvision is missing.
        """
        create: Any = import_library("timm.data").create_transform
        small = image_size <= _SMALL
        options: dict[str, Any] = {"use_prefetcher": True, "crop_pct": 1.0 if small else self.crop_pct}
        if training:
            options |= {
                "is_training": True,
                "auto_augment": self.auto_augment,
                "color_jitter": self.color_jitter or None,
                "hflip": self.hflip,
                "scale": (self.scale, 1.0),
                "re_prob": 0.0,
                **({"train_crop_mode": "rkrc"} if small else {}),
            }
        return create((3, image_size, image_size), **options)
