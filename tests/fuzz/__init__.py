"""Damaged files for every reader: each gives its result or a `BadInput`, in 10 s and 2 GB.

python -m tests.fuzz --files 10000 --keep out/fuzz

`kinds` writes small valid files and says what reads them, `mutations` damages them, `campaign`
runs the readers in a process that it watches, and keeps what it finds.
"""
