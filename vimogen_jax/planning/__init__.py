"""What a training step or a sampling run takes on machines that are not there."""
