"""What `serve` answers beside heartbeats: routes (`routes`), the read API (`api`), and who may ask (`access`)."""
