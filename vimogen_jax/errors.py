"""The one exception that users of the library are meant to see."""


class BadInput(ValueError):
    """A file, flag or config that its owner can mend; the message is one sentence naming it."""
