"""From a seed to samples, by any backend: one call, token by token, step by step, between latents, in-painting."""
