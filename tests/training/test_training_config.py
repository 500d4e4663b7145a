import pytest

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.data import load_data
from nnmass.errors import InvalidValueError
from nnmass.training import TrainingConfig, default_config


def test_defaults():
    config = TrainingConfig()
    assert (config.epochs, config.batch_size, config.optimizer, config.learning_rate) == (30, 64, "adam", 1e-3)
    assert (config.momentum, config.weight_decay, config.schedule, config.augment) == (0.9, 0, "constant", "none")


def test_json_round_trip():
    config = TrainingConfig(epochs=3, optimizer="sgd", learning_rate=0.1, augment="crop-flip")
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        TrainingConfig().epochs = 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "training: epochs should be greater than or equal to 1, got 0"),
        ({"epochs": 2.5}, r"training: epochs .*got 2\.5"),
        ({"batch_size": -1}, "training: batch_size should be greater than or equal to 1, got -1"),
        ({"optimizer": "lion"}, "training: optimizer should be 'adam', 'sgd', or timm's, as 'timm:NAME', got 'lion'"),
        ({"learning_rate": 0}, "training: learning_rate should be greater than 0, got 0"),
        ({"learning_rate": float("nan")}, "training: learning_rate should be a finite number, got nan"),
        ({"learning_rate": float("inf")}, "training: learning_rate should be a finite number, got inf"),
        ({"momentum": 1}, "training: momentum should be less than 1, got 1"),
        ({"momentum": float("nan")}, "training: momentum .*got nan"),
        ({"weight_decay": -1e-4}, "training: weight_decay should be greater than or equal to 0, got -0.0001"),
        (
            {"schedule": "step"},
            "training: schedule should be 'constant', 'cosine', or timm's, as 'timm:NAME', got 'step'",
        ),
        ({"augment": "mixup"}, "training: augment should be 'none' or 'crop-flip', got 'mixup'"),
        ({"dropout": 0.1}, "training: dropout .*got 0.1"),
        ({"epochs": 0, "momentum": 2}, "training: epochs .*got 0; momentum .*got 2"),
    ],
)
def test_values_out_of_range_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValueError, match=message) as caught:
        TrainingConfig(**values)
    assert "\n" not in str(caught.value)


def test_mlps_are_trained_with_adam_and_cnns_with_sgd():
    digits = load_data("digits")
    mlp = default_config(DenseMLP(width=8, depth=4, max_skips=2, in_features=64), digits)
    assert (mlp.optimizer, mlp.learning_rate, mlp.epochs, mlp.batch_size) == ("adam", 1e-3, 30, 32)
    cnn = default_config(DenseCNN(widths=(4,), depth=4, max_skips=2, image_size=8, in_channels=1), digits)
    assert (cnn.optimizer, cnn.learning_rate, cnn.weight_decay, cnn.schedule) == ("sgd", 0.1, 5e-4, "cosine")
    assert cnn.augment == "none"


def test_colour_images_are_augmented_and_unknown_data_has_the_plain_defaults(images):
    assert default_config(DenseCNN(widths=(4,), depth=4, max_skips=2), images).augment == "crop-flip"
    assert default_config(DenseMLP(width=8, depth=4, max_skips=2, in_features=192), images) == TrainingConfig()
