"""Training: optimiser, state, step, checkpoints and the loop."""
