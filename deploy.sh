#!/usr/bin/env bash
# Create or update the function and all around it: template.yaml, as a CloudFormation stack, with the AWS CLI (1 or 2).
# ./deploy.sh --help says how. Edit the next three, or set them in the environment. A second run changes nothing.
FUNCTION_NAME="${FUNCTION_NAME:-hvac-heartbeat-updater}"
REGION="${REGION:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}"
ROLE_ARN="${ROLE_ARN:-}" # empty: the stack makes a role with the least rights

set -euo pipefail
umask 077 && exec </dev/null # what is written here may hold a password

usage() {
    cat <<'TEXT'
usage: ./deploy.sh [--dry-run] [--schedule] [--api] [--iot] [--database-later] [Parameter=value…]
  --dry-run         say what would be done, and change nothing
  --schedule        run the sweep, which counts stale devices and tells of silent sites: SCHEDULE, else rate(1 minute)
  --api             let devices POST /prod/heartbeat: API_AUTH, else iam; jwt needs JWT_ISSUER and JWT_AUDIENCE
  --iot             let devices publish to hvac/SITE/DEVICE/heartbeat over AWS IoT Core, gateways to hvac/SITE/heartbeats
  --database-later  deploy without DB_*, to set them in the Lambda console
  Parameter=value   any parameter of template.yaml, such as SqsQueue=true; Parameter= makes it empty
What is not set stays as it is. A new stack has the schedule and the API, unless told Schedule= HttpApi=none.
Variables: FUNCTION_NAME (the stack has that name too), ROLE_ARN, REGION (else AWS_REGION, AWS_DEFAULT_REGION);
  DB_HOST, DB_PORT, DB_NAME, DB_SSLMODE, DB_SSLROOTCERT (a path in the package) and either DB_SECRET_ARN, or DB_USER and
  one of DB_IAM_AUTH=true, DB_PASSWORD (kept in the secret FUNCTION_NAME/database);
  HEARTBEAT_NEW_DEVICES, HEARTBEAT_DEVICE_CLAIM, HEARTBEAT_SITE_CLAIM, HEARTBEAT_LOG; MEMORY (128), TIMEOUT (30),
  ARCHITECTURE (arm64);
  SUBNET_IDS, SECURITY_GROUP_IDS (with commas between; the function joins this VPC);
  CODE_BUCKET (where the package is put; else hvac-heartbeat-ACCOUNT-REGION, which is made), PACKAGE (a zip that is
  already built), PYTHON (3.11 or newer with requirements.txt; else that of .venv, which make sets up).
Exit codes: 0 done; 1 something was refused or failed; 2 the call or the settings are wrong. docs/deploy.md says more.
TEXT
}

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
DRY_RUN=no DATABASE_LATER=no CHANGES=0 CHANGE_SET="" TEMPLATE="" ACCOUNT="" STATUS="" SECRET_ARN="" PARAMETERS=()
for argument in "$@"; do
    case "$argument" in
        --dry-run) DRY_RUN=yes ;;
        --schedule) PARAMETERS+=("Schedule?=rate(1 minute)") ;; # ?= for what the stack has none of
        --api) PARAMETERS+=("HttpApi?=iam") ;;
        --iot) PARAMETERS+=(IotRules=true) ;;
        --database-later) DATABASE_LATER=yes ;;
        -h | --help) usage && exit 0 ;;
        FunctionName=*) FUNCTION_NAME="${argument#*=}" ;;
        [A-Z]*=*) PARAMETERS+=("$argument") ;;
        *) echo "deploy: $argument is no option; ./deploy.sh --help lists them" >&2 && exit 2 ;;
    esac
done
export FUNCTION_NAME REGION ROLE_ARN DATABASE_LATER
export AWS_REGION="$REGION" AWS_DEFAULT_REGION="$REGION" AWS_PAGER="" # version 2 would wait for a key after long answers
STACK=(--stack-name "$FUNCTION_NAME") SECRET="$FUNCTION_NAME/database"

main() {
    SCRATCH="$(mktemp -d)" && trap leave EXIT
    echo "[]" >"$SCRATCH/stack.json" && echo "{}" >"$SCRATCH/held-secret.json"
    PYTHON="${PYTHON:-$HERE/.venv/bin/python}"
    [ -x "$PYTHON" ] || make -C "$HERE" .venv/.installed || fail "no Python 3.11 with requirements.txt; name one with PYTHON=…"
    [ -n "$REGION" ] || fail "set REGION, for example REGION=eu-central-1" 2
    plan check || exit
    find_account
    ARCHITECTURE="$(plan secret)" || exit
    [ -n "$ACCOUNT" ] || explain "asking whose credentials these are"
    put_package
    keep_password
    deploy_stack
    [ "$CHANGES" != 0 ] || { echo "nothing to change" && exit; }
    [ "$DRY_RUN" = no ] && echo "changes made: $CHANGES" || echo "changes to make: $CHANGES; run it without --dry-run"
}

# The template is removed from the bucket, and a change set unless it was executed, with it the stack that it made.
leave() {
    rm -f "$SCRATCH"/*secret.json
    if [ -n "$CHANGE_SET" ] && [ -n "$STATUS" ]; then
        run "remove the change set" aws cloudformation delete-change-set "${STACK[@]}" --change-set-name "$CHANGE_SET"
    elif [ -n "$CHANGE_SET" ]; then
        run "remove what the change set made" aws cloudformation delete-stack "${STACK[@]}"
        settled "the stack" aws cloudformation describe-stacks "${STACK[@]}" --query 'Stacks[0].StackStatus' --output text
    fi
    [ -z "$TEMPLATE" ] || aws s3api delete-object "${AT[@]}" --key "$TEMPLATE" >"$SCRATCH/answer" 2>"$SCRATCH/error" ||
        echo "deploy: s3://$BUCKET/$TEMPLATE stays there: $(tail -n 1 "$SCRATCH/error"); remove it yourself" >&2
    rm -rf "$SCRATCH"
}

# The one way to fail: a line that says what to do. 1 when something is refused, 2 when the call or a setting is wrong.
fail() { echo "deploy: $1" >&2 && exit "${2:-1}"; }

# Fail with the last thing that AWS said, in one line, without the CLI's preamble.
explain() {
    local why advice="mend that and run this again"
    why="$(tr '\n' ' ' <"$SCRATCH/error" | sed -e 's/^ *//' -e 's/An error occurred (\([A-Za-z0-9]*\)) when calling the [A-Za-z0-9]* operation[^:]*: /\1: /' -e 's/[. ]*$//' | cut -c 1-600)"
    case "$why" in
        *"command not found"*) advice="install the AWS CLI (pip install awscli, or version 2 from AWS)" ;;
        *"locate credentials"*) advice="run 'aws configure' or set AWS_PROFILE" ;;
        *ExpiredToken* | *SSO* | *InvalidClientToken* | *UnrecognizedClient*) advice="your credentials are no longer good; sign in again" ;;
        *AccessDenied* | *[Uu]nauthorized* | *"not authorized"* | *Forbidden*) advice="your credentials lack that right; docs/deploy.md lists what deploying needs" ;;
        *"Could not connect"* | *"Connect timeout"*) advice="AWS cannot be reached; check REGION and the network" ;;
        *ROLLBACK_COMPLETE* | *ROLLBACK_FAILED*) advice="remove what a first try left: aws cloudformation delete-stack --region $REGION ${STACK[*]}" ;;
        *_IN_PROGRESS*) advice="somebody deploys at this moment; run this again when that is done" ;;
    esac
    fail "failed $1: $why; $advice"
}

# look WHAT COMMAND…: AWS's answer in $SCRATCH/answer; 1 where the thing is not there; the run ends where AWS does not say.
look() {
    "${@:2}" >"$SCRATCH/answer" 2>"$SCRATCH/error" && return 0
    grep -Eq '\((ResourceNotFoundException|404)\)|\(ValidationError\).*does not exist' "$SCRATCH/error" || explain "looking at $1"
    return 1
}

# settled WHAT COMMAND…: look until AWS is no longer at work on it; then STATE and WHY are what the command answered.
settled() {
    STATE=gone WHY=""
    while look "$@" && read -r STATE WHY <"$SCRATCH/answer"; do
        case "$STATE" in *_IN_PROGRESS | *_PENDING) sleep 3 ;; *) return ;; esac
    done
}

run() { "${@:2}" >"$SCRATCH/answer" 2>"$SCRATCH/error" || explain "to $1"; }

# change WHAT COMMAND…: do it and say so, or with --dry-run only say so.
change() {
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = yes ]; then echo "would $1"; else run "$@" && echo "did $1"; fi
}

plan() { PYTHONPATH="$HERE:$HERE/src" "$PYTHON" -m deployment.variables "$1" "$SCRATCH" ${PARAMETERS[@]+"${PARAMETERS[@]}"}; }

# The account, what the stack holds, and the secret; nothing of it without credentials, so that settings are judged first.
find_account() {
    aws sts get-caller-identity --query Account --output text >"$SCRATCH/answer" 2>"$SCRATCH/error" || return 0
    ACCOUNT="$(cat "$SCRATCH/answer")"
    echo "account $ACCOUNT, region $REGION"
    if look "the stack" aws cloudformation describe-stacks "${STACK[@]}" --query 'Stacks[0].StackStatus' --output text; then
        STATUS="$(cat "$SCRATCH/answer")"
        run "read the stack" aws cloudformation describe-stacks "${STACK[@]}" --query 'Stacks[0].Parameters[].[ParameterKey,ParameterValue]' --output json
        mv "$SCRATCH/answer" "$SCRATCH/stack.json"
    fi
    if [ -n "${DB_PASSWORD:-}" ] && look "the secret" aws secretsmanager describe-secret --secret-id "$SECRET" --query ARN --output text; then
        SECRET_ARN="$(cat "$SCRATCH/answer")"
        run "read the secret" aws secretsmanager get-secret-value --secret-id "$SECRET" --query SecretString --output text
        mv "$SCRATCH/answer" "$SCRATCH/held-secret.json"
    fi
}

put_package() {
    if [ -z "${PACKAGE:-}" ]; then
        PACKAGE="$HERE/dist/hvac-heartbeat.zip"
        PYTHONPATH="$HERE" "$PYTHON" -m deployment.package --architecture "$ARCHITECTURE" --output "$PACKAGE" >"$SCRATCH/answer" 2>"$SCRATCH/error" ||
            fail "the package could not be built: $(tail -n 1 "$SCRATCH/error")"
    fi
    [ -f "$PACKAGE" ] || fail "PACKAGE=$PACKAGE is no file; run 'make package' or unset it" 2
    KEY="$FUNCTION_NAME/$("$PYTHON" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$PACKAGE").zip"
    BUCKET="${CODE_BUCKET:-hvac-heartbeat-$ACCOUNT-$REGION}"
    AT=(--bucket "$BUCKET")
    # Somebody else may have taken the name, to hand us code of theirs.
    [ -n "${CODE_BUCKET:-}" ] || AT+=(--expected-bucket-owner "$ACCOUNT")
    look "the bucket $BUCKET" aws s3api head-bucket "${AT[@]}" || change "make the bucket $BUCKET, private and encrypted" make_bucket
    look "the package" aws s3api head-object "${AT[@]}" --key "$KEY" && return
    change "put the package into $BUCKET, $(wc -c <"$PACKAGE" | tr -d ' ') bytes" aws s3api put-object "${AT[@]}" --key "$KEY" --body "$PACKAGE"
}

make_bucket() {
    local place=(--create-bucket-configuration "LocationConstraint=$REGION") && [ "$REGION" != us-east-1 ] || place=()
    aws s3api create-bucket --bucket "$BUCKET" ${place[@]+"${place[@]}"} &&
        aws s3api put-public-access-block --bucket "$BUCKET" --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true &&
        aws s3api put-bucket-encryption --bucket "$BUCKET" --server-side-encryption-configuration '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
}

# The password travels in a file: a command line is there for every user of the machine to read.
keep_password() {
    [ -n "${DB_PASSWORD:-}" ] || return 0
    if [ -z "$SECRET_ARN" ]; then
        echo "arn:aws:secretsmanager:$REGION:$ACCOUNT:secret:$SECRET" >"$SCRATCH/answer" # what a dry run goes on with
        change "keep DB_PASSWORD in the secret $SECRET" aws secretsmanager create-secret --name "$SECRET" --secret-string "file://$SCRATCH/secret.json" --query ARN --output text
        SECRET_ARN="$(cat "$SCRATCH/answer")"
    elif [ -f "$SCRATCH/secret.json" ]; then
        change "change the secret $SECRET" aws secretsmanager put-secret-value --secret-id "$SECRET" --secret-string "file://$SCRATCH/secret.json"
    fi
    export DB_SECRET_ARN="$SECRET_ARN"
    unset DB_PASSWORD
}

deploy_stack() {
    local type=UPDATE name="deploy-$$-$RANDOM" suffix="" changes
    case "$STATUS" in "" | REVIEW_IN_PROGRESS) type=CREATE ;; esac
    changes=(aws cloudformation describe-change-set "${STACK[@]}" --change-set-name "$name" --output text --query)
    plan parameters || exit
    # CloudFormation takes 51,200 bytes in a call and 1 MB from a bucket, which a first dry run does not have.
    if [ "$DRY_RUN" = yes ] && ! look "the bucket $BUCKET" aws s3api head-bucket "${AT[@]}"; then
        change "deploy the stack $FUNCTION_NAME; its parts can be listed once there is a bucket" && return
    fi
    sed "s|CodeUri: dist/hvac-heartbeat.zip|CodeUri: s3://$BUCKET/$KEY|" "$HERE/template.yaml" >"$SCRATCH/template.yaml"
    TEMPLATE="$FUNCTION_NAME/$name.yaml"
    run "put the template into $BUCKET" aws s3api put-object "${AT[@]}" --key "$TEMPLATE" --body "$SCRATCH/template.yaml"
    [[ "$REGION" != cn-* ]] || suffix=.cn
    run "ask what would change" aws cloudformation create-change-set "${STACK[@]}" --change-set-name "$name" --change-set-type "$type" \
        --template-url "https://s3.$REGION.amazonaws.com$suffix/$BUCKET/$TEMPLATE" --parameters "file://$SCRATCH/parameters.json" --capabilities CAPABILITY_IAM
    CHANGE_SET="$name"
    settled "the change set" "${changes[@]}" '[Status,StatusReason]'
    case "$STATE $WHY" in
        FAILED*"didn't contain changes"* | FAILED*"No updates are to be performed"*) return ;;
        FAILED*) fail "CloudFormation refuses that: $WHY" ;;
    esac
    run "read the change set" "${changes[@]}" "Changes[].ResourceChange.[Action,Replacement,ResourceType,LogicalResourceId,join(',',Details[?Target.Name].Target.Name)]"
    name_changes
    [ "$DRY_RUN" = no ] || return 0
    run "deploy the stack" aws cloudformation execute-change-set "${STACK[@]}" --change-set-name "$name" --client-request-token "$name"
    CHANGE_SET=""
    settled "the stack" aws cloudformation describe-stacks "${STACK[@]}" --output text --query 'Stacks[0].[StackStatus,StackStatusReason]'
    if [[ "$STATE" != *ATE_COMPLETE ]]; then
        run "read what happened" aws cloudformation describe-stack-events "${STACK[@]}" --output text \
            --query "StackEvents[?ClientRequestToken=='$name' && ends_with(ResourceStatus,'_FAILED')].[LogicalResourceId,ResourceStatusReason]"
        fail "the stack could not be deployed ($STATE): $(tail -n 1 "$SCRATCH/answer" | tr '\t' ' '); mend that and run this again"
    fi
    run "read its outputs" aws cloudformation describe-stacks "${STACK[@]}" --output text --query 'Stacks[0].Outputs[].[OutputKey,OutputValue]'
    cat "$SCRATCH/answer"
}

name_changes() {
    local will=will action replacement kind name settings
    [ "$DRY_RUN" = no ] || will=would
    while IFS=$'\t' read -r action replacement kind name settings; do
        CHANGES=$((CHANGES + 1))
        case "$action $replacement" in Add*) action=create ;; Remove*) action=remove ;; *True) action=replace ;; *) action=change ;; esac
        kind="${kind#AWS::}" settings="$(tr , '\n' <<<"$settings" | sort -u | paste -s -d , -)"
        echo "$will $action ${kind//::/ } $name${settings:+: ${settings//,/, }}"
    done <"$SCRATCH/answer"
}

main
