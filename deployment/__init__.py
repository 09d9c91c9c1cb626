"""Everything that brings the function into an AWS account; none of it is in the package."""
