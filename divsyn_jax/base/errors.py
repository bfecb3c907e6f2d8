"""How work ends other than well; `base/commandline.py` gives each its exit code."""


class UserError(Exception):
    """The user's input cannot be used; the message is one line naming the place, what is wrong and
    the remedy.
    """


class Unfinished(Exception):
    """The work was saved and stopped before its end; the same command continues it."""


class Failure(Exception):
    """The work itself failed in a way that the message explains in one line (exit code 1, no
    traceback).
    """
