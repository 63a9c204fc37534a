"""Pure metric mathematics on joints, poses and bodies, shared by training and evaluation."""
