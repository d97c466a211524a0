"""Which kind of number a setting is; YAML and the command line give any."""


def is_number(value: object) -> bool:
    """Whether `value` is a real number (a bool is none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether `value` is an int (a bool is none)."""
    return isinstance(value, int) and not isinstance(value, bool)
