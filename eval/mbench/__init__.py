"""MBench: motions of any system scored by dimension, side by side with the published scores."""
