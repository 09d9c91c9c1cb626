"""What deploy.sh was told: the rule of each variable, the parameters of the stack, the secret that keeps a password.

deploy.sh calls `python -m deployment.variables check|secret|parameters FOLDER [Parameter=value]…`: FOLDER has what
AWS answered, and takes what AWS is to get. Exit codes: 0; 2 and one line for a variable that cannot be used.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployment.package import ROOT
from hvac_heartbeat.errors import SettingsError
from hvac_heartbeat.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The deployment's own variables: the parameter that each becomes, what it may be, and the same in words.
OWN = {
    "REGION": ("", r"[a-z]{2}(-[a-z]+)+-\d", "a region, such as eu-central-1"),
    "CODE_BUCKET": ("", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket"),
    "FUNCTION_NAME": ("FunctionName", r"[a-z][a-z0-9-]{0,39}", "up to 40 small letters, digits and -, a letter first"),
    "ROLE_ARN": ("RoleArn", r"arn:aws[a-z-]*:iam::\d{12}:role/\S+", "the ARN of a role, arn:aws:iam::…:role/NAME"),
    "ARCHITECTURE": ("Architecture", r"arm64|x86_64", "arm64 or x86_64"),
    "MEMORY": ("MemorySize", r"12[89]|1[3-9]\d|[2-9]\d\d|[1-9]\d{3}|10([01]\d\d|2[0-3]\d|240)", "128 to 10240"),
    "TIMEOUT": ("Timeout", r"15|30|60|120", "15, 30, 60 or 120"),
    "SUBNET_IDS": ("SubnetIds", r"subnet-\w+(,subnet-\w+)*", "ids of subnets, subnet-…, with commas between them"),
    "SECURITY_GROUP_IDS": ("SecurityGroupIds", r"sg-\w+(,sg-\w+)*", "ids of groups, sg-…, with commas between them"),
    "SCHEDULE": ("Schedule", r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minute|hour|day)s)\)|cron\(\S+( \S+){5}\)",
                 "such as rate(1 minute), rate(5 minutes) or cron(0/5 * * * ? *)"),
    "API_AUTH": ("HttpApi", r"iam|jwt|lambda|none", "iam, jwt, lambda or none"),
    "JWT_ISSUER": ("JwtIssuer", r"https://\S+", "an address, https://…"),
    "JWT_AUDIENCE": ("JwtAudience", r"\S+", "audiences of tokens, with commas between them"),
}  # fmt: skip
# The function's own: hvac_heartbeat.settings has their rules.
FUNCTIONS = {
    "DB_HOST": "DbHost", "DB_PORT": "DbPort", "DB_NAME": "DbName", "DB_USER": "DbUser", "DB_SSLMODE": "DbSslMode",
    "DB_SSLROOTCERT": "DbSslRootCert", "DB_SECRET_ARN": "DbSecretArn", "DB_IAM_AUTH": "DbIamAuth",
    "HEARTBEAT_NEW_DEVICES": "NewDevices", "HEARTBEAT_DEVICE_CLAIM": "DeviceClaim", "HEARTBEAT_SITE_CLAIM": "SiteClaim",
    "HEARTBEAT_LOG": "Log",
}  # fmt: skip
PARAMETERS = FUNCTIONS | {name: parameter for name, (parameter, _, _) in OWN.items() if parameter}
VARIABLES = {parameter: name for name, parameter in PARAMETERS.items()}
# The ways to log in, of which one that is set puts the others away. A password becomes a secret, not a parameter.
LOGINS = {"DB_PASSWORD", "DB_SECRET_ARN", "DB_IAM_AUTH"}
NO_LOGIN = {"DbSecretArn": "", "DbIamAuth": "false"}


def read(environment: Mapping[str, str], arguments: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables that are set, and the parameters without a variable or emptied by `Parameter=`."""
    variables = {name: environment[name] for name in (*OWN, *FUNCTIONS, "DB_PASSWORD") if environment.get(name)}
    if variables.get("DB_IAM_AUTH", "").lower() == "false":
        del variables["DB_IAM_AUTH"]
    parameters: dict[str, str] = {}
    for name, _, value in (argument.partition("=") for argument in arguments):
        if value and name in VARIABLES:
            variables[VARIABLES[name]] = value
        else:
            parameters[name] = value
            variables.pop(VARIABLES.get(name, name), None)
    for name, value in (variables | parameters).items():
        _, pattern, words = OWN.get(name, ("", r"(?s).*", ""))
        if "…" in value:
            raise SettingsError(f"{name} still holds …: put there what it stands for")
        if not re.fullmatch(pattern, value):
            raise SettingsError(f"{name} must be {words}, not {value!r}")
    return variables, parameters


def settings(variables: Mapping[str, str], held: Mapping[str, str]) -> Settings:
    """Return the function's settings as they will be: what is set, and else what the stack holds."""
    put_away = NO_LOGIN if LOGINS & variables.keys() else {}
    kept = {VARIABLES[name]: held[name] for name in held if name in VARIABLES and name not in put_away}
    inside = {"AWS_REGION": variables.get("REGION", ""), "AWS_LAMBDA_FUNCTION_NAME": "-"}
    return Settings.from_environment(kept | dict(variables) | inside)


def stack_parameters(variables: Mapping[str, str], parameters: Mapping[str, str], held: Mapping[str, str]) -> list[Any]:
    """Return what CreateChangeSet takes: what is not set keeps the value that the stack has."""
    set_here = {PARAMETERS[name]: value for name, value in variables.items() if name in PARAMETERS}
    values = {**(NO_LOGIN if LOGINS & variables.keys() else {}), **set_here, **parameters}
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    return given + [{"ParameterKey": name, "UsePreviousValue": True} for name in held if name not in values]


def secret(found: Settings, held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the secret as RDS writes one, with whatever else it holds already."""
    login = {"host": found.host, "port": found.port or 5432, "dbname": found.name, "username": found.user}
    return {**held, "engine": "postgres", **login, "password": found.password}


def main(command: str, folder: Path, arguments: Sequence[str]) -> None:
    """Check what is set by itself, or with what the stack holds; write the secret or the parameters for AWS."""
    stack = dict(json.loads((folder / "stack.json").read_text()))
    # Schedule?=x, which --schedule stands for, is for a stack without a schedule: another interval stays.
    had = {name for name in VARIABLES if os.environ.get(VARIABLES[name]) or stack.get(name, "none") not in {"", "none"}}
    arguments = [argument.replace("?=", "=") for argument in arguments if argument.split("?=")[0] not in had]
    variables, parameters = read(os.environ, arguments)
    section = (ROOT / "template.yaml").read_text().partition("\nParameters:\n")[2]
    names = set(re.findall(r"^  (\w+):", re.split(r"\n(?=\w)", section)[0], re.MULTILINE))
    for name in parameters.keys() - names:
        raise SettingsError(f"{name} is no parameter of template.yaml")
    held = {name: stack[name] for name in stack if name in names - parameters.keys()}
    if command == "parameters":
        (folder / "parameters.json").write_text(json.dumps(stack_parameters(variables, parameters, held)))
    elif command == "check" or (os.environ["DATABASE_LATER"] == "yes" and "DB_PASSWORD" not in variables):
        login = {} if LOGINS & variables.keys() else {"DB_PASSWORD": "-"}  # stands in, as the three others
        settings({"DB_HOST": "db", "DB_NAME": "db", "DB_USER": "db"} | login | variables, {})
    else:
        found, before = settings(variables, held), json.loads((folder / "held-secret.json").read_text())
        if found.password and secret(found, before) != before:
            (folder / "secret.json").write_text(json.dumps(secret(found, before)))
    if command == "secret":
        sys.stdout.write(variables.get("ARCHITECTURE") or held.get("Architecture") or "arm64")


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
    except SettingsError as error:
        sys.stderr.write(f"deploy: {error}\n")
        sys.exit(2)
