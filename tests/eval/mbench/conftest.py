"""Fixtures of MBench's tests."""

from tests.helpers.judge_server import server

__all__ = ["server"]
