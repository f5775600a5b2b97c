"""The parts of the autoencoders, against what is known of them: likelihoods, discrepancies, noise, free codes."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import onnxruntime
import pytest
import torch

import zoo
from conftest import Trained, raises
from zoo.core.errors import PluginError
from zoo.hub.resolve import find
from zoo.modules import build
from zoo.release import MANIFEST
from zoo_autoencoders import denoising_ae, gaussian, glo, iwae, nets, vae, vae_gan, wae
from zoo_autoencoders.cvae import CVAE
from zoo_autoencoders.mixture import Mixture
from zoo_export import onnx_graph

DIGIT = zoo.Sample(zoo.Image(1, 8, 8), {"label": zoo.Label(10)})


@pytest.mark.parametrize("mean", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("log_scale", [-5.0, -3.0, 1.0])
def test_the_levels_of_a_logistic_sum_to_one(mean: float, log_scale: float) -> None:
    levels = torch.arange(256, dtype=torch.float64) / 255
    chances = vae.log_logistic(levels, torch.tensor(mean), torch.tensor(log_scale)).exp()
    assert float(chances.sum()) == pytest.approx(1, abs=1e-6)
    ends = torch.tensor([99.5, 100.5], dtype=torch.float64) / 255
    below, above = torch.sigmoid((ends - mean) * math.exp(-log_scale)).tolist()
    assert float(chances[100]) == pytest.approx(above - below, rel=1e-4)


def test_a_vae_of_levels_trains(tmp_path: Path) -> None:
    changes = {"likelihood": "logistic", "kl_warmup": 0.5}
    run = zoo.train("vae.tiny", set=changes, out=tmp_path / "run", release=False, quiet=True)
    first = json.loads((run.folder / "metrics.jsonl").read_text().splitlines()[0])["terms"]
    assert first["kl"] == 0
    assert first["reconstruction"] > 0


def test_the_score_of_levels_is_the_same_in_onnx_runtime() -> None:
    """The one graph that a likelihood of levels changes, on pixels of the outer levels and of inner ones."""
    net = build(
        vae.vae, vae.Recipe(data=zoo.use("digits"), latent=2, width=4, likelihood="logistic"), DIGIT, "vae"
    ).eval()
    graph = onnx_graph.trace(net, vae.vae.tasks(net)["score"], "score")
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)).mul(2).sub(0.5).clamp(0, 1)
    (found,) = session.run(None, {"image": images.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found), net.score(images), atol=1e-5, rtol=1e-4)


def test_the_weight_of_the_kl_term_rises() -> None:
    recipe = vae.Recipe(kl_warmup=0.5)
    for progress, share in ((0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (1.0, 1.0)):
        batch = zoo.Batch(torch.empty(0), {}, torch.empty(0), torch.tensor(progress))
        assert float(vae.warm(batch, recipe)) == share
        assert float(vae.warm(batch, vae.Recipe())) == 1


def test_the_bound_of_k_samples_is_that_of_the_metric() -> None:
    """One pass of the decoder over k samples gives in the mean what k passes give, and less than the ELBO."""
    recipe = iwae.Recipe(data=zoo.use("digits"), latent=2, width=4, k=20)
    net = build(iwae.iwae, recipe, DIGIT, "iwae").eval()
    with torch.no_grad():  # a posterior that is far from p(z|x), so that k matters
        net.encoder[-1].bias.copy_(torch.tensor([2.0, -2.0, 0.0, 0.0]))
        net.decoder[0].weight.mul_(20)
        torch.manual_seed(0)
        images = torch.bernoulli(torch.full((2000, 1, 8, 8), 0.5))
        batch = zoo.Batch(images, {}, torch.arange(2000), torch.ones(()))
        (found,) = iwae.loss(net, batch, recipe).values()
        elbo = torch.cat([sum(vae.bound(net, images))[:, None] for _ in range(5)], 1).mean()  # type: ignore[call-overload]
        assert float(found) == pytest.approx(float(vae.iwae(net, images, 20).mean()), abs=0.05)
        assert float(found) < float(elbo) - 0.5
        (one,) = iwae.loss(net, batch, dataclasses.replace(recipe, k=1)).values()
        assert float(one) == pytest.approx(float(elbo), abs=0.3)


def test_mmd_is_unbiased_and_tells_apart() -> None:
    """Against two loops over all pairs of a small set; near 0 for two sets of one distribution."""
    torch.manual_seed(0)
    x, y = torch.randn(5, 3), torch.randn(5, 3) + 1

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return sum(6 * s / (6 * s + float((a - b).square().sum())) for s in wae.SCALES)

    pairs = [(i, j) for i in range(5) for j in range(5)]
    within = sum(kernel(z[i], z[j]) for z in (x, y) for i, j in pairs if i != j) / 20
    across = sum(kernel(x[i], y[j]) for i, j in pairs) / 25
    assert float(wae.mmd(x, y)) == pytest.approx(within - 2 * across, rel=1e-5)
    normal = [torch.randn(800, 8) for _ in range(2)]
    assert abs(float(wae.mmd(*normal))) < 0.01
    assert float(wae.mmd(normal[0] + 0.5, normal[1])) > 0.1


def test_kinds_of_noise() -> None:
    torch.manual_seed(0)
    grey = torch.full((50, 3, 20, 20), 0.5)
    gaussian = denoising_ae.corrupt(grey, "gaussian", 0.1)
    assert float(gaussian.std()) == pytest.approx(0.1, rel=0.05)
    assert denoising_ae.corrupt(grey, "gaussian", 1.0).aminmax() == (0, 1)
    masked = denoising_ae.corrupt(grey, "masking", 0.3)
    assert set(masked.unique().tolist()) == {0.0, 0.5}
    assert float((masked == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(masked[:, 0], masked[:, 2])
    struck = denoising_ae.corrupt(grey, "salt-and-pepper", 0.4)
    shares = [float((struck == level).float().mean()) for level in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.2, 0.6, 0.2], abs=0.02)


def test_a_pyramid_adds_up_to_the_image() -> None:
    images = torch.rand(2, 1, 28, 30)
    *losses, made = glo.pyramid(images, 4)
    assert made.shape == (2, 1, 4, 4)
    for lost in reversed(losses):
        made = lost + torch.nn.functional.interpolate(made, size=lost.shape[2:], mode="bilinear")
    assert torch.allclose(made, images, atol=1e-6)


def test_free_codes_stay_in_the_ball_and_out_of_the_release(trained: Trained) -> None:
    held = trained("glo").tensors
    codes = held["module.latents.weight"]
    assert codes.shape == (1500, 4)
    assert float(codes.norm(dim=1).max()) <= 1 + 1e-6
    ends = held["module.prior.ends"].double()
    weights = ends.diff(prepend=torch.zeros(1))
    assert torch.allclose(weights @ held["module.prior.means"].double(), codes.double().mean(0), atol=1e-5)
    manifest = json.loads((find("glo.mnist") / MANIFEST).read_text("utf-8"))
    assert "latents.weight" in manifest["left_out"]


def test_codes_of_images_that_are_not_there_do_not_count() -> None:
    """The mixture is fitted to the codes of the training data alone: there may be more."""
    recipe = dataclasses.replace(glo.glo.recipes["tiny"], images=100, components=1)
    module = build(glo.glo, recipe, DIGIT, "glo")
    with torch.no_grad():
        module.latents.weight[50:] = 1.0
        batch = zoo.Batch(torch.empty(50), {}, torch.arange(50), torch.ones(()))
        glo.fit_prior(module, [batch], recipe)
    assert torch.allclose(module.prior.means[0], module.latents.weight[:50].mean(0), atol=1e-6)


def test_too_few_codes(tmp_path: Path) -> None:
    with raises(PluginError, "there are 100 latents and more images", "set images"):
        zoo.train("glo.tiny", set={"images": 100}, out=tmp_path / "run", quiet=True)


def test_a_conditional_model_needs_labels() -> None:
    with raises(PluginError, "cvae.tiny cannot be built", "it needs labels"):
        build(zoo.registry.load("cvae"), nets.Recipe(), zoo.Sample(zoo.Image(1, 8, 8)), "cvae.tiny")


def test_the_label_is_given_to_both_networks_and_found_by_bayes() -> None:
    net = CVAE(nets.Recipe(latent=2, width=4), DIGIT).eval()
    x, z = torch.rand(3, 1, 8, 8), torch.randn(3, 2)
    zero, one = torch.zeros(3, dtype=torch.int64), torch.ones(3, dtype=torch.int64)
    with torch.no_grad():
        assert not torch.allclose(net.decode(z, zero), net.decode(z, one))
        assert not torch.allclose(net.encode(x, zero), net.encode(x, one))
        bounds = net.classify(x)
        given = net.posterior(x, one)
        likelihood = vae.log_bernoulli(x, net.logits(given[0], one)).flatten(1).sum(1)
        assert torch.allclose(bounds[:, 1], likelihood - gaussian.divergence(*given), atol=1e-4)
        assert torch.allclose(net.score(x), -(bounds.exp().mean(1)).log(), atol=1e-3)


def test_phases_of_the_vae_gan_move_what_they_should() -> None:
    """Each phase has gradients for its own part: the encoder's and the decoder's go through the discriminator."""
    net = build(vae_gan.vae_gan, vae_gan.vae_gan.recipes["tiny"], DIGIT, "vae-gan")
    batch = zoo.Batch(torch.rand(8, 1, 8, 8), {}, torch.arange(8), torch.zeros(()))
    for objective in vae_gan.vae_gan.objectives:
        net.zero_grad(set_to_none=True)
        sum(objective.loss(net, batch, vae_gan.Recipe()).values()).backward()  # type: ignore[union-attr]
        (name,) = objective.params
        assert all(weight.grad is not None for weight in net.get_submodule(name).parameters())
    assert all(weight.grad is None for weight in net.encoder.parameters())  # the discriminator's phase was the last


def test_a_mixture_of_codes_that_are_all_alike() -> None:
    for codes in (torch.ones(100, 4), torch.ones(1, 4)):
        mixture = Mixture(4, 3)
        mixture.fit(codes)
        drawn = mixture(torch.randn(5, 4), torch.tensor([[0.0], [0.3], [0.6], [0.99], [1.0]]))
        torch.testing.assert_close(drawn, torch.ones(5, 4), atol=1e-3, rtol=0)
