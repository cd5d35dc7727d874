"""Mistakes that a line of explanation settles, told apart from defects that need a traceback."""


class UserError(Exception):
    """A mistake of the user; the command line prints its message and exits with status 2."""
