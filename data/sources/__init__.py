"""Readers of raw data sets: each lists takes, and says how to read the motion of one."""
