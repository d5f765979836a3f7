"""How the addresses of resources begin."""

OPERATION = "operations://"
POSITIONS = "positions://"
