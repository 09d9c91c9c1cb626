#!/usr/bin/env bash
# Create or update the function in an AWS account, with the AWS CLI (version 1 or 2) and nothing else.
#
#   ./deploy.sh [--dry-run] [--schedule] [--api] [--iot]
#
# Edit the next three, or set them in the environment. A second run changes nothing.
FUNCTION_NAME="${FUNCTION_NAME:-hvac-heartbeat-updater}"
REGION="${REGION:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}"
ROLE_ARN="${ROLE_ARN:-}"

set -euo pipefail
umask 077 # what is written here holds the function's environment

usage() {
    cat <<'TEXT'
usage: ./deploy.sh [--dry-run] [--schedule] [--api] [--iot]

  --dry-run   look, and say what would be done; change nothing
  --schedule  tick the function through EventBridge, SCHEDULE ("rate(1 minute)")
  --api       let devices POST to https://….execute-api.REGION.amazonaws.com/prod/heartbeat, API_AUTH (iam): signed with IAM;
              jwt with JWT_ISSUER and JWT_AUDIENCE: with a token
  --iot       let devices publish to hvac/SITE/DEVICE/heartbeat and gateways to hvac/SITE/heartbeats over AWS IoT Core

What it reads from the environment (a variable that is not set leaves alone what is there; in brackets what is new gets):
  FUNCTION_NAME, ROLE_ARN, REGION (else AWS_REGION, AWS_DEFAULT_REGION)
  DB_HOST, DB_PORT, DB_NAME, DB_SSLMODE, DB_SSLROOTCERT (a path in the package) and either
  DB_SECRET_ARN, or DB_USER and one of DB_IAM_AUTH=true, DB_PASSWORD
  HEARTBEAT_NEW_DEVICES, HEARTBEAT_DEVICE_CLAIM, HEARTBEAT_SITE_CLAIM
  SUBNET_IDS, SECURITY_GROUP_IDS      comma-separated: the function joins this VPC
  MEMORY (128), TIMEOUT (30), ARCHITECTURE (arm64), CONCURRENCY, DEAD_LETTER_ARN
  SCHEDULE_INPUT                      a file: the tick sends this event instead of a bare tick (/dev/null: a bare tick again)
  IOT_ERROR_QUEUE_URL, IOT_ERROR_ROLE_ARN   where the IoT rules put what they could not deliver
  PACKAGE                             a zip that is already built
  PYTHON                              the Python, 3.11 or newer, to build and compare with (.venv's, else python3)
Exit codes: 0 done; 1 something was refused or failed; 2 the call or the settings are wrong.
docs/deploy.md goes from an empty account to a first heartbeat.
TEXT
}

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
DRY_RUN=no WITH_SCHEDULE=no WITH_API=no WITH_IOT=no
for argument in "$@"; do
    case "$argument" in
        --dry-run) DRY_RUN=yes ;;
        --schedule) WITH_SCHEDULE=yes ;;
        --api) WITH_API=yes ;;
        --iot) WITH_IOT=yes ;;
        -h | --help) usage && exit 0 ;;
        *) echo "deploy: $argument is no option; ./deploy.sh --help lists them" >&2 && exit 2 ;;
    esac
done

# shellcheck source=deployment/steps/account.sh
source "$HERE/deployment/steps/account.sh"
# shellcheck source=deployment/steps/function.sh
source "$HERE/deployment/steps/function.sh"
# shellcheck source=deployment/steps/schedule.sh
source "$HERE/deployment/steps/schedule.sh"
# shellcheck source=deployment/steps/api.sh
source "$HERE/deployment/steps/api.sh"
# shellcheck source=deployment/steps/iot.sh
source "$HERE/deployment/steps/iot.sh"

SCRATCH="$(mktemp -d)"
trap 'rm -rf "$SCRATCH"' EXIT

find_tools
plan check || exit
find_account
find_function
build_package
deploy_function
limit_function
[ "$WITH_SCHEDULE" = no ] || deploy_schedule
[ "$WITH_API" = no ] || deploy_api
[ "$WITH_IOT" = no ] || deploy_iot
finish
