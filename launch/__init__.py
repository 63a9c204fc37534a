"""What a person runs: python -m launch.<verb>."""
