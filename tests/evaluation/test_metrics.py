"""The metrics against what is known of them in closed form, by quadrature, or by counting."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from conftest import raises
from zoo.contract.metric import Measurement, format_baseline, format_protocol, format_value, from_json
from zoo.core.errors import EvaluationError
from zoo.evaluation import anomaly, codebook, distances, intervals, reconstruction, representation
from zoo_autoencoders.vae import iwae


def gaussian(count: int, mean: np.ndarray, factor: np.ndarray, seed: int) -> np.ndarray:
    """Points whose mean and covariance are exactly `mean` and factor·factorᵀ."""
    x = np.random.default_rng(seed).normal(size=(count, len(mean)))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ factor.T + mean


def test_fid_is_the_distance_of_two_gaussians() -> None:
    """For commuting covariances it is ‖μ − μ'‖² + Σ (σ_i − σ'_i)²."""
    left, right = np.array([1.0, 2.0, 0.5, 3.0]), np.array([1.5, 1.0, 0.5, 2.0])
    shift = np.array([0.0, 1.0, -2.0, 0.5])
    real = gaussian(500, np.zeros(4), np.diag(left), 0)
    fake = gaussian(300, shift, np.diag(right), 1)
    expected = np.square(shift).sum() + np.square(left - right).sum()
    assert distances.fid(real, fake) == pytest.approx(expected, rel=1e-9)
    assert distances.fid(real, real) == pytest.approx(0, abs=1e-9)


def test_fid_of_covariances_that_do_not_commute() -> None:
    factor = np.array([[1.0, 0.0], [0.8, 0.6]])
    real, fake = gaussian(200, np.zeros(2), np.eye(2), 2), gaussian(200, np.zeros(2), factor, 3)
    expected = 2 + 2 - 2 * np.sqrt(np.linalg.eigvalsh(factor @ factor.T)).sum()
    assert distances.fid(real, fake) == pytest.approx(expected, rel=1e-9)


def test_kid_is_the_unbiased_mmd() -> None:
    """On sets no larger than a subset it is the U-statistic over all pairs, here by two loops."""
    random = np.random.default_rng(4)
    real, fake = random.normal(size=(9, 3)), random.normal(1, 1, (9, 3))

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 3 + 1) ** 3)

    within = sum(
        kernel(x[i], x[j]) for x in (real, fake) for i, j in itertools.product(range(9), repeat=2) if i != j
    ) / (9 * 8)
    across = sum(kernel(x, y) for x in real for y in fake) / 81
    assert distances.kid(real, fake) == pytest.approx(within - 2 * across, rel=1e-9)


def test_kid_of_one_distribution_is_near_0() -> None:
    random = np.random.default_rng(5)
    real, same, other = (random.normal(mean, 1, (1200, 8)) for mean in (0, 0, 1))
    assert abs(distances.kid(real, same)) < 0.02
    assert distances.kid(real, other) > 1


def test_precision_and_recall_of_clusters() -> None:
    """Real: two clusters. Fake: one of them, both, one and something else, or only something else."""
    random = np.random.default_rng(6)
    a, b, c = (random.normal(centre, 0.1, (200, 2)) for centre in (0, 10, 20))
    real = np.concatenate([a, b])
    assert distances.precision_recall(real, real) == (1, 1)
    assert distances.precision_recall(real, np.concatenate([a, a + 1e-4])) == (1, 0.5)
    assert distances.precision_recall(real, np.concatenate([a, c])) == (0.5, 0.5)
    assert distances.precision_recall(real, np.concatenate([c, c + 1])) == (0, 0)


def test_covered_counts_the_balls() -> None:
    """On a line at 0, 1, 3, 6 the third neighbours are 6, 5, 3 and 6 away."""
    line = np.array([[0.0], [1.0], [3.0], [6.0]])
    assert distances.covered(np.array([[-6.0], [-6.1], [12.0], [12.1]]), line) == 0.5


def test_psnr_in_closed_form() -> None:
    np.testing.assert_allclose(reconstruction.psnr(np.array([1.0, 0.01, 1e-4, 0.0])), [0, 20, 40, 100])


@pytest.mark.parametrize(("size", "window"), [(28, 11), (11, 11), (10, 7), (8, 7), (6, 5), (3, 3), (2, 0)])
def test_ssim_window_fits_the_image(size: int, window: int) -> None:
    assert reconstruction.window(size, 40) == reconstruction.window(40, size) == window


@pytest.mark.parametrize("size", [28, 8, 3])
def test_ssim_in_closed_form(size: int) -> None:
    """Two flat images: only the luminance is left, (2ab + c1) / (a² + b² + c1). An image and itself: 1."""
    a, b, c1 = 0.3, 0.8, 0.01**2
    flat = [np.full((2, 3, size, size), value, np.float32) for value in (a, b)]
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    np.testing.assert_allclose(reconstruction.ssim(*flat), [expected] * 2, rtol=2e-3)
    noise = np.random.default_rng(0).random((2, 1, size, size), np.float32)
    np.testing.assert_allclose(reconstruction.ssim(noise, noise), [1, 1], atol=1e-5)
    assert (reconstruction.ssim(noise, 1 - noise) < 0).all()


class Toy(torch.nn.Module):
    """p(z) = N(0, 1), three pixels with logits wz + b, and a q(z|x) that is not the posterior."""

    def posterior(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = x.flatten(1).sum(1, keepdim=True) / 3 - 0.2
        return mean, torch.full_like(mean, math.log(1.3))

    def observe(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def log_likelihood(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        logits = self.logits(z)
        return (x * logits - torch.nn.functional.softplus(logits)).flatten(1).sum(1)

    def logits(self, z: torch.Tensor) -> torch.Tensor:
        return (z * torch.tensor([1.0, -2.0, 0.5]) + torch.tensor([0.3, 0.1, -1.0]))[:, None, None]

    def exact(self, x: torch.Tensor) -> torch.Tensor:
        """−log p(x) by quadrature over z."""
        z = torch.linspace(-9, 9, 20001, dtype=torch.float64)[:, None]
        logits = self.logits(z)[:, 0, 0]  # (20001, 3)
        likelihood = (x.double() * logits - torch.nn.functional.softplus(logits)).sum(1)
        joint = likelihood - 0.5 * z[:, 0].square() - 0.5 * math.log(2 * math.pi)
        return -(joint.logsumexp(0) + math.log(18 / 20000))


def test_iwae_meets_the_exact_likelihood() -> None:
    """All eight images of three pixels: their probabilities sum to 1, and the bound falls to −log p(x) with k."""
    toy = Toy()
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)))
    exact = torch.stack([toy.exact(x) for x in every])
    assert float((-exact).exp().sum()) == pytest.approx(1, abs=1e-6)
    torch.manual_seed(0)
    images = every.repeat_interleave(200, 0)[:, None, None]  # (1600, 1, 1, 3)
    means = {k: iwae(toy, images, k).double().unflatten(0, (8, 200)).mean(1) for k in (1, 10, 300)}
    assert (means[1] > means[10]).all()
    assert (means[10] > exact - 0.03).all()
    assert float((means[1] - exact).mean()) > 0.1  # the gap of the ELBO
    np.testing.assert_allclose(means[300], exact, atol=0.03)


def test_auroc_of_separable_and_of_equal_scores() -> None:
    strange = np.arange(100) < 30
    assert anomaly.area(strange, strange.astype(float)) == 1
    assert anomaly.area(strange, -strange.astype(float)) == 0
    assert anomaly.area(strange, np.zeros(100)) == 0.5
    assert anomaly.interval(strange, strange.astype(float)) == pytest.approx((1, 1))
    noisy = strange + np.random.default_rng(0).normal(0, 1, 100)
    low, high = anomaly.interval(strange, noisy)
    assert 0.5 < low < anomaly.area(strange, noisy) < high < 1


def test_probes_on_codes_that_tell_and_on_codes_that_do_not() -> None:
    random = np.random.default_rng(7)
    labels = np.arange(300) % 3
    codes = np.eye(3)[labels] * 10 + random.normal(0, 0.1, (300, 3))
    noise = random.normal(size=(300, 3))
    for probe in (representation.linear, representation.nearest):
        assert probe(codes[:200], codes[200:], labels[:200], labels[200:]).mean() == 1
        assert probe(noise[:200], noise[200:], labels[:200], labels[200:]).mean() < 0.5
    assert representation.clusters(codes, labels, 0) == pytest.approx(1)
    assert representation.clusters(noise, labels, 0) < 0.1
    assert representation.clusters(np.zeros((300, 3)), labels, 0) == 0


def test_codes_are_standardised_by_the_training_codes() -> None:
    training, test = representation.standardised(np.array([[1.0, 5], [3, 5]]), np.array([[5.0, 5]]))
    np.testing.assert_allclose(training, [[-1, 0], [1, 0]])
    np.testing.assert_allclose(test, [[3, 0]])


def test_bootstrap_covers_the_true_mean() -> None:
    """Of 200 samples of 60, the 95% interval holds the true mean of about 190."""
    random = np.random.default_rng(8)
    hits = 0
    for _ in range(200):
        low, high = intervals.bootstrap(random.normal(3, 1, 60))
        hits += low < 3 < high
    assert 178 <= hits <= 198
    low, high = intervals.bootstrap(random.normal(0, 1, 2500))
    assert high - low == pytest.approx(2 * 1.96 / 50, rel=0.1)


def test_seeds_have_students_interval() -> None:
    measurement = intervals.of_seeds("fid", [1, 2, 3], "", "")
    assert (measurement.value, measurement.low, measurement.high) == pytest.approx(
        (2, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5)
    )
    assert "95% over 3 seeds" in measurement.interval
    six = intervals.of_seeds("fid", [1, 2, 3, 4, 5, 6], "", "")
    half = 2.570582 * (3.5 / 6) ** 0.5  # t at 97.5% of 5 degrees of freedom, and the variance 3.5 of 1 to 6
    assert (six.low, six.high) == pytest.approx((3.5 - half, 3.5 + half))
    assert six.interval == "95% over 6 seeds (Student's t)"
    alone = intervals.of_seeds("fid", [1], "", "")
    assert alone.low is None
    assert "no interval" in format_protocol(alone)
    assert intervals.of_samples("mse", np.array([2.0]), "", "").low is None


def test_a_figure_is_a_number_and_survives_json() -> None:
    with raises(EvaluationError, "fid is nan, and a measurement must be finite"):
        Measurement(name="fid", value=math.nan, unit="", protocol="")
    full = Measurement(
        name="knn", value=0.9, unit="accuracy", protocol="5 nearest", better="higher", low=0.85, high=0.95,
        interval="bootstrap", baseline=("PCA", 0.8),
    )  # fmt: skip
    assert from_json(full.to_json()) == full
    assert (format_value(full), format_baseline(full)) == ("0.9 ± 0.05", "0.8 (PCA)")
    assert format_protocol(full) == "5 nearest; bootstrap"
    old = from_json({"name": "mse", "value": 1, "unit": "", "protocol": "p", "something": "newer"})
    assert (format_value(old), format_baseline(old), format_protocol(old)) == ("1", "-", "p")


def test_inception_is_taken_only_where_it_is_there(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """A torch-fidelity that cannot be imported, one without weights, and weights that are not those."""
    import sys

    from zoo.evaluation import inception
    from zoo.evaluation.evaluated_model import DoesNotApply

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with raises(DoesNotApply, "torch-fidelity", "pip install torch-fidelity"):
        inception.extractor()
    (tmp_path / "torch_fidelity.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.delitem(sys.modules, "torch_fidelity")
    monkeypatch.syspath_prepend(str(tmp_path))
    with raises(DoesNotApply, "cannot be imported", "torchvision::nms"):
        inception.extractor()
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace(FeatureExtractorInceptionV3=None))
    with raises(DoesNotApply, "the weights of Inception are missing", inception.ADDRESS, tmp_path / "checkpoints"):
        inception.extractor()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / inception.WEIGHTS).write_bytes(b"other bytes")
    with raises(EvaluationError, "SHA-256 does not begin with 6726825d"):
        inception.extractor()


def test_perplexity_of_codes() -> None:
    assert codebook.perplexity(np.array([5, 5, 0, 5, 5])) == pytest.approx(4)
    assert codebook.perplexity(np.array([7, 0])) == 1
