"""Autoregressive models: each token is predicted from the tokens before it."""
