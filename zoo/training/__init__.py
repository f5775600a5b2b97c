"""Training, the side of zoo that needs torch: phases, batches, checkpoints, the run folder, and the one trainer."""
