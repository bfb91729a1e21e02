"""The one exception that a user's mistake raises."""


class UserError(Exception):
    """A request that cannot be carried out as made.

    The message is one line that names the value and the rule it breaks. The command line prints it and exits
    with status 2; nothing has been written when it is raised.
    """
