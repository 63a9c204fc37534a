"""The one exception that users of the library are meant to see."""


class BadInput(ValueError):
    """A file, flag or config that its owner can mend; the message is one sentence naming it.

    remedy: what would mend it if it were said, such as "fps"; a command that has a flag of this
        name advises it.
    """

    def __init__(self, message: object, remedy: str = ""):
        # Libraries, whose words it may hold, take several lines.
        super().__init__(" ".join(line.strip() for line in str(message).splitlines()))
        self.remedy = remedy


class Interrupted(BadInput):
    """What ended a run through no fault of its input: the same command, started again, goes on."""

    STATUS = 75  # as sysexits.h has it for what may work the next time; scripts start again on it
