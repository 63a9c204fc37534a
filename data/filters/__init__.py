"""What makes a take unfit for training, in whole or in part."""
