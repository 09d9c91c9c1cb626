"""AWS Lambda, nothing else: the handler, its triggers and what they answer."""
