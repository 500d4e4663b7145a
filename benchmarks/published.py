"""The published code of the paper, imported from a folder that the user names (github SLDGroup/NN_Mass).

Nothing of it is part of this project.
"""

import hashlib
import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_NEEDED = ("Dense_MLP", "regular_dense_cnn")


def load_model_zoo(folder: Path) -> Any:
    """Import ``model_zoo.py`` of the published code.

    Its constructors count MACs with ``thop``, which a stub stands for: the count is not used here.

    Args:
        folder: the unpacked published code.

    Raises:
        SystemExit: the folder is not the published code; one line says what is missing.
    """
    path = folder / "model_zoo.py"
    if not path.is_file():
        raise SystemExit(f"--published {folder}: has no model_zoo.py; unpack github SLDGroup/NN_Mass there")
    stub = ModuleType("thop")
    stub.profile = lambda *_, **__: (0, 0)  # type: ignore[attr-defined]
    before = sys.modules.get("thop")
    sys.modules["thop"] = stub
    try:
        module = _import(path)
    except Exception as error:
        raise SystemExit(f"--published {folder}: model_zoo.py cannot be imported ({error})") from None
    finally:
        if before is None:
            del sys.modules["thop"]
        else:
            sys.modules["thop"] = before
    missing = [name for name in _NEEDED if not hasattr(module, name)]
    if missing:
        raise SystemExit(f"--published {folder}: model_zoo.py lacks {', '.join(missing)}; it is not that of NN_Mass")
    return module


def fingerprint(folder: Path) -> dict[str, str]:
    """Name the published code and the SHA-256 of the file that was imported."""
    digest = hashlib.sha256((folder / "model_zoo.py").read_bytes()).hexdigest()
    return {"repository": "github SLDGroup/NN_Mass", "model_zoo.py sha256": digest}


def seed_everything(seed: int) -> None:
    """Seed the global generators that the published code draws links, weights and batches from."""
    import torch

    random.seed(seed)
    torch.manual_seed(seed)


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("published_model_zoo", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
