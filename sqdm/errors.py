"""The exceptions that the command line turns into one line: a user's mistake, and an accelerator that fails."""


class UserError(Exception):
    """A request that cannot be carried out as made.

    The message is one line that names the value and the rule it breaks. The command line prints it and exits
    with status 2; nothing has been written when it is raised.
    """


class DeviceError(RuntimeError):
    """The simulated accelerator misbehaved: it did not finish, left its memory or reported a failure.

    The command line prints the message and exits with status 1.
    """
