"""The one exception that users of the library are meant to see."""


class BadInput(ValueError):
    """A file, flag or config that its owner can mend; the message is one sentence naming it.

    remedy: what would mend it if it were said, such as "fps"; a command that has a flag of this
        name advises it.
    """

    def __init__(self, message: object, remedy: str = ""):
        super().__init__(message)
        self.remedy = remedy
