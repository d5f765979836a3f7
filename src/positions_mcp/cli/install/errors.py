"""What can go wrong with a host's configuration."""

from __future__ import annotations


class CannotBeRead(ValueError):
    """A configuration that cannot be changed without risk to the rest of it. Says why, as an end of a sentence."""
