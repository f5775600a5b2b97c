"""Sampling on any backend: one-shot, autoregressive and iterative generation, latent traversals, and inpainting."""
