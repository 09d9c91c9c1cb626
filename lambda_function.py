"""Lambda's entry point; run as a script it sends the two sample events to the database that DB_* names."""

try:
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
except ImportError as missing:
    if __name__ != "__main__":
        raise
    import sys
    from pathlib import Path

    file = Path(__file__).resolve().with_name("requirements.txt")
    sys.stderr.write(f"error: {missing}; run {sys.executable} -m pip install -r {file}\n")
    sys.exit(2)

__all__ = ["lambda_handler"]

if __name__ == "__main__":
    from hvac_heartbeat.cli.script import main

    main()
