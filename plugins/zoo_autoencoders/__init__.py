"""Autoencoders: models that encode data as latents and decode latents back to data."""
