"""Text encoders: sentences in, per-token features out."""
