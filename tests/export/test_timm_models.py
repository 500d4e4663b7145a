import subprocess
import sys

import pytest
import torch

from nnmass import CifarResNet, DenseCNN, DenseMLP, MobileNetV2, WideResNet
from nnmass.errors import ExportError, InvalidValueError, SpecificationError
from nnmass.export import timm_models
from nnmass.export.comparison import Comparison, Stored
from nnmass.tracing.libraries import import_library

IMAGES = {
    "densecnn": DenseCNN(widths=(4, 8), depth=4, max_skips=(5, 7), image_size=8),
    "mobilenetv2": MobileNetV2(stages=[(1, 16, 1, 1), (3, 24, 2, 2)], image_size=32, num_classes=10),
    "cifarresnet": CifarResNet.of_depth(8, image_size=8),
    "wideresnet": WideResNet(depth=10, widen_factor=1, image_size=8),
}


@pytest.fixture(scope="module")
def timm():
    return import_library("timm")


@pytest.mark.parametrize(("family", "spec"), IMAGES.items(), ids=IMAGES.keys())
def test_timm_creates_the_network(timm, tmp_path, family, spec):
    x = torch.randn(2, *spec.input_shape)
    expected = spec.build(seed=0).eval()(x)
    for given in (spec, spec.model_dump(), str(spec.to_json(tmp_path / "spec.json"))):
        model = timm.create_model("nnmass", spec=given).eval()
        assert torch.equal(model(x), expected)
    model = timm.create_model(f"nnmass_{family}", spec=spec, num_classes=5, in_chans=3)
    assert model(x).shape == (2, 5)
    assert model.pretrained_cfg["input_size"] == spec.input_shape
    assert model.forward_head(model.forward_features(x), pre_logits=True).shape == (2, model.num_features)


def test_the_classifier_can_be_replaced(timm):
    model = timm.create_model("nnmass", spec=IMAGES["mobilenetv2"])
    x = torch.randn(2, 3, 32, 32)
    model.reset_classifier(4)
    assert model(x).shape == (2, 4)
    assert model.num_classes == model.get_classifier().out_features == 4
    model.reset_classifier(0)
    assert model(x).shape == (2, model.num_features)
    with pytest.raises(InvalidValueError, match="global_pool must be 'avg', got 'max'"):
        model.reset_classifier(4, "max")


def test_other_images_and_dropout(timm):
    model = timm.create_model("nnmass", spec=IMAGES["densecnn"], in_chans=1, img_size=12, drop_rate=0.5).train()
    assert model(torch.randn(2, 1, 12, 12)).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("nnmass", {}, InvalidValueError, r"needs spec=FILE.json .*--model-kwargs spec=FILE.json"),
        ("nnmass", {"spec": "nowhere.json"}, SpecificationError, "nowhere.json: cannot be read"),
        ("nnmass", {"spec": IMAGES["densecnn"], "depth": 3}, InvalidValueError, "unknown arguments .*: depth"),
        (
            "nnmass_resnet",
            {"spec": IMAGES["densecnn"]},
            InvalidValueError,
            "takes a specification of that family, got DenseCNN",
        ),
        ("nnmass", {"spec": DenseMLP(width=4, depth=4, max_skips=2)}, InvalidValueError, "a DenseMLP does not"),
    ],
)
def test_what_is_no_model_is_refused(timm, name, options, error, message):
    with pytest.raises(error, match=message):
        timm.create_model(name, **options)


def test_pretrained_weights_and_checkpointing_are_refused(timm):
    with pytest.raises(InvalidValueError, match="no pretrained weights"):
        timm_models.create(IMAGES["densecnn"], pretrained=True)
    model = timm_models.create(IMAGES["densecnn"])
    with pytest.raises(InvalidValueError, match="no gradient checkpointing"):
        model.set_grad_checkpointing()
    model.set_grad_checkpointing(False)
    assert model.no_weight_decay() == set()


STEP = """
import argparse
import torch
from timm import create_model
from timm.data import create_dataset, create_loader, resolve_data_config
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3, CheckpointSaver

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--spec")
args = parser.parse_args()
model = create_model("nnmass", spec=args.spec, num_classes=2)
config = resolve_data_config({}, model=model)
loader = create_loader(create_dataset("", args.data), config["input_size"], 4, is_training=True, num_workers=0,
                       use_prefetcher=False, mean=config["mean"], std=config["std"], device=torch.device("cpu"))
optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05, layer_decay=0.9)
scheduler, epochs = create_scheduler_v2(optimizer, sched="cosine", num_epochs=2)
ema = ModelEmaV3(model, decay=0.9)
before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
images, labels = next(iter(loader))
loss = torch.nn.functional.cross_entropy(model(images), labels)
loss.backward()
optimizer.step()
scheduler.step(1)
ema.update(model)
CheckpointSaver(model, optimizer, model_ema=ema, checkpoint_dir=args.data).save_checkpoint(0, metric=1.0)
after = torch.cat([p.detach().flatten() for p in model.parameters()])
print("moved", bool((before != after).any()), "finite", bool(torch.isfinite(loss)))
"""


def test_a_script_of_timms_own_parts_trains_one_step(tmp_path):
    from PIL import Image

    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for k in range(4):
            Image.new("RGB", (8, 8), (60 * k, 20, 90)).save(tmp_path / "data" / label / f"{k}.png")
    (tmp_path / "step.py").write_text(STEP)
    IMAGES["densecnn"].to_json(tmp_path / "spec.json")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "nnmass.export.timm_models",
        "step.py",
        "data",
        "--spec",
        "spec.json",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "moved True finite True", done.stderr
    assert list((tmp_path / "data").glob("*.pth.tar"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: python -m nnmass.export.timm_models SCRIPT.py"),
        (["step.py", ".", "--spec", "nowhere.json"], "nnmass: nowhere.json: cannot be read as a specification"),
    ],
)
def test_the_runner_says_what_is_wrong_in_one_line(tmp_path, arguments, message):
    (tmp_path / "step.py").write_text(STEP)
    command = [sys.executable, "-W", "ignore", "-m", "nnmass.export.timm_models", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().startswith(message)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("spec", IMAGES.values(), ids=IMAGES.keys())
def test_timm_models_compute_the_same_on_weights_that_every_layer_shows(timm, spec):
    """Drawn weights hide a layer: on calibrated ones another order, a wrong bias or zeros are seen."""
    model = timm_models.create(spec).eval()
    right = Comparison(spec.build(seed=0).eval(), [spec.input_shape])

    def function(change):
        def given(state):
            model.network.load_state_dict(change(dict(state)))
            return model

        return given

    assert right.deviation(Stored(None, function(lambda state: state)), "right") <= 1e-6
    last = [name for name in right.network.state_dict() if name.endswith("bias")][-1]
    for change in (
        lambda state: {name: tensor * 0 if tensor.is_floating_point() else tensor for name, tensor in state.items()},
        lambda state: state | {last: state[last] + 0.01 * torch.eye(1, len(state[last]))[0]},
        lambda state: state | {last.replace("bias", "weight"): state[last.replace("bias", "weight")].roll(1, 0)},
    ):
        with pytest.raises(ExportError, match="deviates by"):
            right.deviation(Stored(None, function(change)), "wrong")
