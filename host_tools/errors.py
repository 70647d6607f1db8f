"""Exit codes of every verb, and the one exception that carries them to the command line."""

import errno

import click

FAILED = 1
WRONG_ARGUMENTS = 2
NOTHING_ANSWERS = 3
NOT_PERMITTED = 4


class ToolError(click.ClickException):
    """One sentence for people (what, where, what to do) and the exit code that goes with it."""

    def __init__(self, message, exit_code=FAILED):
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file=None):
        """Print the sentence to standard error, as people's words are."""
        click.echo("chassis: " + self.message, file=file, err=file is None)


def os_failure(error, doing):
    """The ToolError of an OSError met while `doing` ("writing X"): full disk, rights, the rest."""
    number = error.errno
    if number in (errno.ENOSPC, errno.EDQUOT):
        return ToolError("the disk is full: {}; free some space and try again".format(doing))
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ToolError("not permitted: {} ({})".format(doing, error.strerror), NOT_PERMITTED)
    return ToolError("{} failed: {}".format(doing, error.strerror or error))
