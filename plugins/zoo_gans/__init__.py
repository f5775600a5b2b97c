"""Generative adversarial networks: a generator that learns from a critic."""
