"""Readers of raw data sets: each yields motions with captions and their provenance."""
