"""PostgreSQL, nothing else: the statements, the connection and the table `device_state`."""
