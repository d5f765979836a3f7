"""What the program knows about positions, orders and instructions. Pure: the standard library and pydantic only."""
