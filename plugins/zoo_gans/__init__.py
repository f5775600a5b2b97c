"""Generative adversarial networks: a generator trained against a discriminator or critic."""
