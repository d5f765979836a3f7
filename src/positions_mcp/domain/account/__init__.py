"""What an account holds, and what the market says of it."""
