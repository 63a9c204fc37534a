"""How a prompt's name and those of files in a folder are compared."""


def without_zeros(name: str) -> str:
    """A name, as a number without leading zeros where it is one: "007" as "7"."""
    return (name.lstrip("0") or "0") if name.isdecimal() else name
