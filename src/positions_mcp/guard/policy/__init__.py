"""The rules of every plan, whatever its kind."""
