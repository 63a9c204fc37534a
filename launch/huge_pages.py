"""Huge pages for commands that train on CPUs.

There XLA maps the temporaries of every step anew, and Linux clears them page by page: with pages of
2 MB in place of 4 kB, hundreds of thousands of faults a step are a thousand.
"""

import os
import platform
import sys


def take() -> None:
    """Start this command again with glibc's malloc asking for huge pages; once, as Linux has it.

    glibc reads GLIBC_TUNABLES only as a process begins. Whoever has set it decides, and where
    there is no glibc nothing happens.
    """
    if platform.libc_ver()[0] == "glibc" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
        os.execv(sys.executable, sys.orig_argv)
