import numpy as np
import pytest
import torch

from nnmass.data import Dataset
from nnmass.training.augmentation import crop_and_flip
from nnmass.training.batches import TensorSplit, to_tensors

CPU = torch.device("cpu")


def moved(image: torch.Tensor, down: int, right: int, *, mirrored: bool) -> torch.Tensor:
    """The image seen through a window that was moved by so many pixels; what lies outside it is 0."""
    height, width = image.shape[1:]
    seen = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            y, x = row + down, column + right
            if 0 <= y < height and 0 <= x < width:
                seen[:, row, column] = image[:, y, x]
    return seen.flip(2) if mirrored else seen


@pytest.mark.parametrize("shape", [(3, 6, 6), (1, 5, 7)])
def test_every_augmented_image_is_its_own_shifted_by_up_to_4_pixels_and_mirrored_or_not(shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) + 0.1
    variants = {
        (down, right, mirrored): moved(image, down, right, mirrored=mirrored)
        for down in range(-4, 5)
        for right in range(-4, 5)
        for mirrored in (False, True)
    }
    table = torch.stack(list(variants.values())).flatten(1)
    augmented = crop_and_flip(image.expand(3_000, *shape), torch.Generator().manual_seed(1)).flatten(1)
    matches = (augmented[:, None] == table[None]).all(2)
    assert (matches.sum(1) == 1).all()
    counts = matches.sum(0).double()
    assert counts.min() > 0  # 3000 / 162 = 18.5 of each
    assert counts.max() < 45
    by_mirror = counts.view(-1, 2).sum(0)
    assert by_mirror[1].item() == pytest.approx(1_500, abs=100)


def test_each_image_keeps_its_place_in_the_batch():
    images = torch.arange(1, 65.0).view(64, 1, 1, 1).expand(64, 3, 9, 9)
    augmented = crop_and_flip(images, torch.Generator().manual_seed(0))
    assert augmented.shape == images.shape
    assert torch.equal(augmented[:, :, 4, 4], images[:, :, 4, 4])


def test_augmentation_depends_on_its_generator_alone_and_leaves_the_images():
    images = torch.rand(20, 3, 8, 8)
    before = images.clone()
    first, again = (crop_and_flip(images, torch.Generator().manual_seed(5)) for _ in range(2))
    generator = torch.Generator().manual_seed(5)
    one, next_one = crop_and_flip(images, generator), crop_and_flip(images, generator)
    assert torch.equal(first, again)
    assert torch.equal(first, one)
    assert not torch.equal(one, next_one)
    assert torch.equal(images, before)


def test_an_epoch_has_every_sample_once():
    split = TensorSplit(torch.arange(23.0)[:, None], torch.arange(23))
    batches = list(split.batches(batch_size=10, seed=0, epoch=0))
    assert [len(labels) for _, labels in batches] == [10, 10, 3]
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == list(range(23))
    assert all(torch.equal(inputs[:, 0], labels.float()) for inputs, labels in batches)


def test_the_order_is_a_function_of_seed_and_epoch():
    split = TensorSplit(torch.arange(23.0)[:, None], torch.arange(23))

    def order(seed, epoch):
        return tuple(torch.cat([y for _, y in split.batches(batch_size=10, seed=seed, epoch=epoch)]).tolist())

    orders = {(seed, epoch): order(seed, epoch) for seed in range(3) for epoch in range(3)}
    assert len(set(orders.values())) == 9
    assert all(order(*key) == value for key, value in orders.items())


def test_inputs_are_normalised_per_channel():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 2, 3, 3)).astype(np.uint8)
    plain = Dataset.from_arrays(pixels, np.arange(20) % 2)
    data = Dataset("two", plain.train, plain.validation, plain.test, 2, mean=(0.5, 0.1), std=(0.25, 2.0))
    got = to_tensors(data, data.train, device=CPU)
    expected = (data.train.inputs / 255 - np.array([0.5, 0.1])[:, None, None]) / np.array([0.25, 2.0])[:, None, None]
    assert got.inputs.dtype == torch.float32
    np.testing.assert_allclose(got.inputs.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert got.labels.tolist() == data.train.labels.tolist()
    flat = to_tensors(data, data.train, device=CPU, flat=True)
    assert torch.equal(flat.inputs, got.inputs.flatten(1))


def test_the_data_itself_stays_as_it_is():
    values = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    plain = Dataset.from_arrays(values, np.arange(20) % 2)
    data = Dataset("shifted", plain.train, plain.validation, plain.test, 2, mean=(3.0,), std=(2.0,))
    before = data.train.inputs.copy()
    to_tensors(data, data.train, device=CPU).inputs.add_(1)
    np.testing.assert_array_equal(data.train.inputs, before)
