"""Experiments, one page each; importable without JAX."""
