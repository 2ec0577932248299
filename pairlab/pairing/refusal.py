"""What the data cannot meet."""


class PairingRefused(ValueError):
    """The data cannot meet the request; the message holds the true numbers and what can be reached."""
