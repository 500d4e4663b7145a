from nnmass import DenseCNN, DenseMLP, compress
from nnmass.verification import calibration_grid


def test_networks_to_predict_from_are_other_networks_around_the_same_mass():
    compression = compress(DenseMLP(width=8, depth=32, max_skips=20, in_features=64))
    specs = calibration_grid(compression)
    assert len(specs) >= 20
    assert len(set(specs)) == len(specs)
    assert compression.reference not in specs
    assert compression.spec not in specs
    assert {spec.depth for spec in specs} == {16, 20, 24}
    masses = [spec.nn_mass for spec in specs]
    assert min(masses) < compression.reference.nn_mass / 3
    assert max(masses) > compression.reference.nn_mass * 3
    assert all(spec.width == 8 and spec.in_features == 64 for spec in specs)


def test_skips_of_several_cells_are_scaled_alike():
    compression = compress(DenseCNN(widths=(8, 16), depth=12, max_skips=(8, 16)))
    for spec in calibration_grid(compression):
        first, second = (cell.nn_mass for cell in spec.cells)
        assert abs(second - 2 * first) <= 0.05 * second + 3
