"""The motion representation: 276 channels a frame, canonical frame, resampling, statistics."""
