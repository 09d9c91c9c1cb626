# shellcheck shell=bash
# What every step uses: one way to look, one way to change, one way to fail.

CHANGES=0

# The two ways to fail, each with one line that says what to do: 1 when something is refused, 2 for a wrong call.
fail() {
    echo "deploy: $1" >&2
    exit 1
}

misuse() {
    echo "deploy: $1" >&2
    exit 2
}

find_tools() {
    export AWS_PAGER="" # version 2 would wait for a key after long answers
    command -v aws >/dev/null || fail "the AWS CLI is missing; install it (pip install awscli, or version 2 from AWS)"
    PYTHON="${PYTHON:-}"
    local candidate
    for candidate in "$PYTHON" "$HERE/.venv/bin/python" python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            PYTHON="$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer with pip is missing; name one with PYTHON=…"
}

find_account() {
    [ -n "$REGION" ] || misuse "no region; set REGION, e.g. REGION=eu-central-1 ./deploy.sh"
    [[ "$FUNCTION_NAME" =~ ^[a-z0-9-]{1,40}$ ]] || misuse "FUNCTION_NAME is to be up to 40 small letters, digits and hyphens, not $FUNCTION_NAME"
    export AWS_DEFAULT_REGION="$REGION"
    # Errors of a look end in a file, so that they can be told apart from "not there".
    local identity
    if identity="$(aws sts get-caller-identity --query '[Account,Arn]' --output text 2>"$SCRATCH/error")"; then
        ACCOUNT="${identity%%[[:space:]]*}"
        PARTITION="$(cut -d: -f2 <<<"${identity##*[[:space:]]}")"
        HAVE_ACCOUNT=yes
        echo "account $ACCOUNT, region $REGION"
    elif [ "$DRY_RUN" = yes ] && grep -q 'Unable to locate credentials' "$SCRATCH/error"; then
        ACCOUNT=123456789012 PARTITION=aws HAVE_ACCOUNT=no
        echo "no credentials, so this is what would be done in an empty account (shown as $ACCOUNT), region $REGION"
    elif grep -q 'Unable to locate credentials' "$SCRATCH/error"; then
        fail "no AWS credentials; run 'aws configure' or set AWS_PROFILE ($(reason))"
    else
        explain "asking whose credentials these are"
    fi
    # shellcheck disable=SC2034 # the other steps use it
    FUNCTION_ARN="arn:$PARTITION:lambda:$REGION:$ACCOUNT:function:$FUNCTION_NAME"
}

# The last thing that AWS said, in one line, without the CLI's preamble.
reason() {
    tr '\n' ' ' <"$SCRATCH/error" | sed -e 's/^ *//' -e 's/An error occurred (\([A-Za-z]*\)) when calling the [A-Za-z0-9]* operation[^:]*: /\1: /' -e 's/ *$//' | cut -c 1-400
}

# look WHAT COMMAND… : print what AWS answers; nothing where the thing does not exist, and nowhere else. In $(…), give it
# a statement of its own: inside a test its failure would pass for that nothing.
look() {
    local what="$1"
    shift
    [ "$HAVE_ACCOUNT" = yes ] || return 0
    if "$@" 2>"$SCRATCH/error"; then return 0; fi
    # Of a rule that is not there, IoT says that access to it was denied; a caller who lacks the right hears another text.
    if grep -Eq "\((ResourceNotFoundException|NotFoundException)\)|\(UnauthorizedException\).*Access to topic rule" "$SCRATCH/error"; then return 0; fi
    explain "looking at $what"
}

# change WHAT COMMAND… : do it and say so, or with --dry-run only say so. The answer is in $SCRATCH/answer.
change() {
    local what="$1"
    shift
    CHANGES=$((CHANGES + 1))
    if [ "$DRY_RUN" = yes ]; then
        echo "would $what"
        echo "(dry run)" >"$SCRATCH/answer"
        return
    fi
    local tries=0
    until "$@" >"$SCRATCH/answer" 2>"$SCRATCH/error"; do
        tries=$((tries + 1))
        # A role that was made a moment ago is not known everywhere for some seconds, and an update may still be running.
        if [ "$tries" -lt 6 ] && grep -Eq 'cannot be assumed by Lambda|ResourceConflictException.*(update is in progress|in the following state: Pending)' "$SCRATCH/error"; then
            sleep 5
            continue
        fi
        explain "to $what"
    done
    echo "did $what"
}

same() {
    echo "same $1"
}

# One line for each failure that has a known way out.
explain() {
    local why advice
    why="$(reason)"
    case "$why" in
        *AccessDenied* | *Unauthorized* | *"not authorized"*) advice="your credentials lack that permission; docs/deploy.md lists what deploying needs" ;;
        *ExpiredToken* | *SSO* | *InvalidClientToken* | *UnrecognizedClient*) advice="your credentials are no longer good; sign in again" ;;
        *"cannot be assumed by Lambda"*) advice="ROLE_ARN's trust policy must name lambda.amazonaws.com (docs/deploy.md has it)" ;;
        *"does not have permissions to call CreateNetworkInterface"*) advice="attach AWSLambdaVPCAccessExecutionRole to $ROLE_ARN" ;;
        *"UnreservedConcurrentExecution"*) advice="the account's quota leaves too little; lower CONCURRENCY or unset it" ;;
        *"Could not connect"* | *"Connect timeout"*) advice="AWS cannot be reached; check REGION and the network" ;;
        *) advice="mend that and run this again: it goes on where it stopped" ;;
    esac
    fail "failed $1: ${why%.}; $advice"
}

# plan COMMAND…: what deployment/desired.py works out; it never prints a value of the environment.
plan() {
    PYTHONPATH="$HERE" "$PYTHON" -m deployment.desired "$@"
}

# as_wanted COMMAND…: the same as a question with yes or no; the run ends where that cannot be told.
as_wanted() {
    local status=0
    plan "$@" || status=$?
    case "$status" in
        0) return 0 ;;
        3) return 1 ;;
        *) exit "$status" ;;
    esac
}

# allow STATEMENT PRINCIPAL SOURCE-ARN [OPTION…]: let one source invoke the function, and nobody else through it.
allow() {
    local statement="$1" principal="$2" source="$3" policy
    shift 3
    # One look is enough: each statement is added once in a run.
    [ -f "$SCRATCH/policy" ] || look "who may invoke $FUNCTION_NAME" aws lambda get-policy \
        --function-name "$FUNCTION_NAME" --query Policy --output text >"$SCRATCH/policy"
    policy="$(cat "$SCRATCH/policy")"
    if as_wanted allows "$statement" "$source" <<<"$policy"; then
        same "permission $statement"
        return
    fi
    if [[ "$policy" == *"\"$statement\""* ]]; then
        change "remove the outdated permission $statement" \
            aws lambda remove-permission --function-name "$FUNCTION_NAME" --statement-id "$statement"
    fi
    change "let $principal invoke the function (permission $statement)" \
        aws lambda add-permission --function-name "$FUNCTION_NAME" --statement-id "$statement" \
        --action lambda:InvokeFunction --principal "$principal" --source-arn "$source" "$@"
}

finish() {
    if [ "$CHANGES" = 0 ]; then
        echo "nothing to change"
    elif [ "$DRY_RUN" = yes ]; then
        echo "changes to make: $CHANGES; run it without --dry-run"
    else
        echo "changes made: $CHANGES"
    fi
}
