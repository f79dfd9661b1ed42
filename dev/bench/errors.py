"""What stops a measurement."""


class BenchError(Exception):
    """Something that the person who measures must know or mend."""
