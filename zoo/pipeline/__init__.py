"""What makes a release and proves it: train, measure and export; verify; describe in registry.yaml."""
