"""The one error that tracking shows to users."""


class TrackingError(RuntimeError):
    """The store of runs cannot be used; the message says which key to change and how."""
