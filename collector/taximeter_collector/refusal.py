"""What the one who gave a command can mend."""


class Refusal(Exception):
    """The message is all that they need: the command line shows it in one line."""
