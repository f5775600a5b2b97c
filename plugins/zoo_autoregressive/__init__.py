"""Autoregressive models: one token at a time, each given those before it."""
