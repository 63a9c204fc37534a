"""What several test modules share: builders of inputs, players of servers, runners of commands.

A helper of one module stays in that module, a fixture of one room in the room's `conftest.py`; no
test module is imported by another.
"""
