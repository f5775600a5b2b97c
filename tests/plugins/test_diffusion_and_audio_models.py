"""What is particular to ddpm and audio-vae; test_models.py has what holds for every model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import zoo
from conftest import Refused
from zoo_autoencoders import audio_vae
from zoo_diffusion import ddpm


def batch(x: torch.Tensor, index: torch.Tensor | None = None) -> zoo.Batch:
    count = torch.arange(len(x)) if index is None else index
    return zoo.Batch(x, {}, count, torch.zeros(()))


def test_schedules_are_those_of_the_papers() -> None:
    linear, cosine = (ddpm.alpha_bars(ddpm.Recipe(schedule=name)) for name in ("linear", "cosine"))  # type: ignore[arg-type]
    assert linear[-1] == pytest.approx(4.036e-5, rel=1e-3)  # Ho et al., section 4: about 4·10⁻⁵
    assert linear[0] == pytest.approx(1 - 1e-4)
    wave = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in (0, 500)]
    assert cosine[499] == pytest.approx(wave[1] / wave[0])  # Nichol & Dhariwal, eq. 17, before β is cut off
    assert cosine[-1] == pytest.approx(cosine[-2] * 0.001)
    for found in (linear, cosine):
        assert (np.diff(found) < 0).all()
    short = ddpm.alpha_bars(ddpm.Recipe(schedule="linear", timesteps=100))
    assert math.log(short[-1]) == pytest.approx(math.log(linear[-1]), rel=0.1)


@pytest.mark.parametrize(("form", "patch"), [((1, 8, 8), 1), ((3, 7, 5), 1), ((3, 7, 10), 2), ((1, 28, 28), 2)])
def test_images_of_any_size(form: tuple[int, int, int], patch: int) -> None:
    net = ddpm.DDPM(ddpm.Recipe(width=4, patch=patch, timesteps=10), zoo.Sample(zoo.Image(*form)))
    x = torch.randn(2, *form)
    assert net.predict(x, torch.tensor([0, 9])).shape == x.shape
    clean = net.denoise(torch.rand(2, *form))
    assert clean.shape == x.shape
    assert ((clean >= 0) & (clean <= 1)).all()


def test_noise_is_found_and_taken_out_by_a_perfect_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a network that knows the image, the loss is 0 and one step of denoising gives the image."""
    recipe, times = ddpm.Recipe(width=4), []
    net = ddpm.DDPM(recipe, zoo.Sample(zoo.Image(1, 8, 8)))
    images = torch.rand(50, 1, 8, 8)

    def perfect(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        times.append(int(time[0]))
        held = torch.tensor(ddpm.alpha_bars(recipe))[time][:, None, None, None]
        return (x - held.sqrt() * (2 * images - 1)) / (1 - held).sqrt()

    monkeypatch.setattr(net, "predict", perfect)
    assert ddpm.simple_loss(net, batch(images), recipe).max() < 1e-3
    noisy = images + recipe.sigma * torch.randn_like(images)
    assert (net.denoise(noisy) - images).abs().max() < 1e-4
    held = ddpm.alpha_bars(recipe)[times[-1]]  # of images on [-1, 1], where the noise is twice as large
    assert math.sqrt((1 - held) / held) == pytest.approx(2 * recipe.sigma, rel=0.01)


def test_measured_times_spread_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, seen = ddpm.Recipe(width=4), []
    net = ddpm.DDPM(recipe, zoo.Sample(zoo.Image(1, 8, 8)))
    monkeypatch.setattr(net, "predict", lambda x, time: seen.append(time) or x)
    ddpm.simple_loss(net, batch(torch.rand(297, 1, 8, 8)), recipe)
    assert np.diff(np.sort(seen[0].numpy())).max() <= 6  # a thousandth of T would be 3.4 apart at best


def test_sounds_are_moved_later_and_the_rest_is_silence() -> None:
    torch.manual_seed(0)
    x = torch.rand(40, 3, 12) + 0.1
    later = audio_vae.moved(x, 5)
    by = [int((row[0] == 0).sum()) for row in later]
    assert set(by) == {0, 1, 2, 3, 4, 5}
    for one, other, shift in zip(x, later, by, strict=True):
        assert torch.equal(other[:, shift:], one[:, : 12 - shift])
        assert not other[:, :shift].any()
    assert torch.equal(audio_vae.moved(x, 0), x)


def test_the_variance_is_the_one_that_fits_best() -> None:
    """No other σ² makes the bound of the training clips smaller."""
    torch.manual_seed(0)
    recipe = audio_vae.Recipe(width=4, latent=2)
    vae = audio_vae.AudioVAE(recipe, zoo.Sample(zoo.LogMel(8000, 1024, 16, 256, 64))).eval()
    sounds = batch(torch.rand(30, 16, 16))

    def bound() -> float:
        torch.manual_seed(1)
        return float(audio_vae.negative_elbo(vae, sounds, recipe).mean())

    with torch.no_grad():
        torch.manual_seed(1)
        audio_vae.fit_variance(vae, [sounds], recipe)
        best = bound()
        torch.manual_seed(1)
        loss = audio_vae.loss(vae, sounds, recipe)
        for factor in (0.9, 1.1):
            vae.variance.mul_(factor)
            assert bound() > best
            vae.variance.div_(factor)
    assert abs(best - float(loss["reconstruction"] + loss["kl"])) < 1.0  # another draw of the noise, of 16·16 values


def test_other_data_is_refused(refused: Refused) -> None:
    refused("train", "ddpm.tiny", "--data", "tones", says=("it models images", "audio"))
    refused(
        "train", "audio-vae.tiny", "--data", "digits", says=("it models audio clips as spectrograms", "bands", "image")
    )
    refused(
        "train",
        "audio-vae.tiny",
        "--set",
        "data.bands=0",
        says=("it models audio clips as spectrograms", "bands", "audio"),
    )


def test_too_few_times_for_a_linear_schedule() -> None:
    with pytest.raises(ValueError, match=r"timesteps \(=10\) is too few for a linear schedule"):
        ddpm.alpha_bars(ddpm.Recipe(data=zoo.use("digits"), timesteps=10, schedule="linear"))
    for times in (2, 20, 1000):
        assert len(ddpm.alpha_bars(ddpm.Recipe(data=zoo.use("digits"), timesteps=times, schedule="cosine"))) == times
