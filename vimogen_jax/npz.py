"""NumPy's .npz, and other zip archives, read within bounds: no pickles, and nothing that unfolds to
far more than the file holds.
"""

import io
import os
import zipfile
from collections.abc import Collection

import numpy as np
from jaxtyping import Shaped

from vimogen_jax.errors import BadInput
from vimogen_jax.files import first_line, reason, require_no_stream

ALWAYS = 2**26  # bytes that a member may have, however small the archive
UNFOLDED = 30  # or so many times the archive's size; motions come to three


def read_npz(
    path: str | os.PathLike[str], names: Collection[str], optional: Collection[str] = ()
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The named arrays of a file, in their order, then those of the optional ones that it has.

    Others are not looked at.

    Raises:
        BadInput: the file is missing or damaged, lacks an array, or would run code.
    """
    require_no_stream(path)
    try:
        with zipfile.ZipFile(path) as archive:
            there = [name for name in optional if f"{name}.npy" in archive.namelist()]
            return {
                name: np.lib.format.read_array(io.BytesIO(unfold(archive, f"{name}.npy")))
                for name in [*names, *there]
            }
    except FileNotFoundError:
        raise BadInput(f"{path} is missing") from None
    except OSError as fault:
        raise BadInput(f"{path} cannot be read: {reason(fault)}") from None
    except KeyError as fault:
        raise BadInput(f"{path} is not what it should be: {fault.args[0]}") from None
    except Exception as fault:  # damage can surface as nearly any exception of the parsers
        raise BadInput(f"{path} is not a readable .npz file: {first_line(fault)}") from None


def unfold(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member of an archive that was opened by its path or file.

    Raises:
        BadInput: it says that it is much larger than the archive.
        KeyError: there is none of that name.
    """
    assert archive.fp is not None
    whole = archive.fp.seek(0, os.SEEK_END)
    size = archive.getinfo(name).file_size
    if size > max(ALWAYS, UNFOLDED * whole):
        raise BadInput(f"{name} in it would unfold to {size / 1e9:.1f} GB")
    return archive.read(name)
