"""What runs on your own machine: throwaway PostgreSQL servers and sample events."""
