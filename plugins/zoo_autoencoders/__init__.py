"""Autoencoders: models that learn a code of their data and the way back from it."""
