import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tests run side by side, one process per core."""
    torch.set_num_threads(1)
