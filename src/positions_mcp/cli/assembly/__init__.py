"""Putting the parts together that a configuration names: the venue, the store, the guard and the tools over them."""
