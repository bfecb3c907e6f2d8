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


class Stopped(BaseException):
    """SIGTERM asks the command to end, which the same command continues.

    No `Exception`: a library that happens to be at work must not keep it."""
