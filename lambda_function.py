"""Lambda's entry point; run as a script it plays the two sample events against the database that DB_* names."""

try:
    from hvac_heartbeat.aws.handler import lambda_handler
except ModuleNotFoundError as missing:
    if missing.name != "hvac_heartbeat":
        raise
    # A checkout whose package nobody installed; in Lambda it lies beside this file, and this never runs.
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().with_name("src")))
    from hvac_heartbeat.aws.handler import lambda_handler

__all__ = ["lambda_handler"]

if __name__ == "__main__":
    from hvac_heartbeat.local.script import main

    main()
