"""The pipelines above training and export: train, evaluate and release; verify; build registry.yaml."""
