"""The fleet page: what a person on duty looks at (docs/page.md)."""
