import pytest
import torch

from nnmass.devices import find_device
from nnmass.errors import InvalidValueError


def test_a_device_that_there_is():
    assert find_device("cpu") == find_device(torch.device("cpu")) == torch.device("cpu")
    assert find_device().type in {"cpu", "cuda"}


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("meta", "device 'meta' was asked for, but it holds no numbers"),
        ("abacus", "device 'abacus' is unknown"),
        ("cpu:-2", "device 'cpu:-2' is unknown"),
        ("a\nb", r"device 'a\\+nb' is unknown"),
        *(
            (name, f"device '{name}' was asked for, but this machine has none")
            for name in ("xla", "hpu", "privateuseone")
        ),
        ("cuda:77", "device 'cuda:77' was asked for, but"),
        pytest.param(
            "mps",
            "device 'mps' was asked for, but this machine has none",
            marks=pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has it"),
        ),
    ],
)
def test_a_device_that_there_is_not_is_one_line(device, message):
    with pytest.raises(InvalidValueError, match=message) as found:
        find_device(device)
    assert "\n" not in str(found.value)
