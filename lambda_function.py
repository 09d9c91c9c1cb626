"""Lambda's entry point; run as a script it plays the two sample events against the database that DB_* names."""

from hvac_heartbeat.aws.handler import lambda_handler

__all__ = ["lambda_handler"]

if __name__ == "__main__":
    from hvac_heartbeat.local.script import main

    main()
