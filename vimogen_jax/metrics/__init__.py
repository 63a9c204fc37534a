"""Pure metric mathematics on joints, shared by training and evaluation."""
