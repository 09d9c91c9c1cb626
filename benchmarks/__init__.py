"""What the function costs, beside what one would otherwise write and beside the least that is possible."""
