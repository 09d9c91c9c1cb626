"""Looks at a database with the function's eyes and says what is wrong, what it costs and how to mend it."""
