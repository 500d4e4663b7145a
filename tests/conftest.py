import signal
from importlib import import_module
from pathlib import Path

import pytest
import torch

PUBLISHED = Path(__file__).parent / "published"
"""Some rows of timm's table of ImageNet accuracies (Apache-2.0), and an analyser of closed forms."""


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tests run side by side, one process per core."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def heard_interrupts():
    """A shell starts what it sends to the background deaf to Ctrl-C, and the processes of tests would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def closed_forms():
    """Analyses ResNets, DenseNets and MobileNetV2s; worker processes find it too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PUBLISHED)
        yield import_module("closed_forms").analyse


@pytest.fixture(scope="session")
def published_groups():
    """The groups that the few rows belong to."""
    from nnmass.experiments import RECIPE_GROUPS

    names = ("torchvision-1", "torchvision-2-resnet", "timm-a1", "timm-ra-mobile")
    return [group for group in RECIPE_GROUPS if group.name in names]


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


@pytest.fixture(scope="session")
def published_outcome(closed_forms, published_groups, published_folder):
    from nnmass.experiments import imagenet_published

    return imagenet_published(PUBLISHED, published_folder, groups=published_groups, analyser=closed_forms, workers=1)
