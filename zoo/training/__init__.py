"""Training with torch: phases, batches, checkpoints, the run folder, and the trainer of all models."""
