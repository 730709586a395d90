"""The exceptions that the host catches."""


class NotFound(Exception):
    """What was named is not there."""


class Exists(Exception):
    """What was to be made is there."""


class UnsupportedOperation(Exception):
    """The database does not do that."""
