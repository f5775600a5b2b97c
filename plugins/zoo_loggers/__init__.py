"""Loggers of training runs: TensorBoard and MLflow."""
