"""Every row of a submitted batch accounted for."""
