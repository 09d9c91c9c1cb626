# shellcheck shell=bash
# The function itself: code, configuration, concurrency, what becomes of an event that fails.

build_package() {
    PACKAGE="${PACKAGE:-}"
    if [ -n "$PACKAGE" ]; then
        [ -f "$PACKAGE" ] || misuse "PACKAGE=$PACKAGE is no file; run 'make package' or unset it"
    else
        PACKAGE="$HERE/dist/hvac-heartbeat.zip"
        PYTHONPATH="$HERE" "$PYTHON" -m deployment.package --architecture "$ARCHITECTURE" --output "$PACKAGE" >"$SCRATCH/built" 2>"$SCRATCH/error" ||
            fail "the package could not be built: $(tail -n 1 "$SCRATCH/error")"
    fi
    CODE_SHA="$("$PYTHON" -c 'import base64, hashlib, sys; print(base64.b64encode(hashlib.sha256(open(sys.argv[1], "rb").read()).digest()).decode())' "$PACKAGE")"
    echo "package $PACKAGE, $(wc -c <"$PACKAGE" | tr -d ' ') bytes"
}

find_function() {
    local busy
    export FUNCTION_NAME ROLE_ARN
    look "the function" aws lambda get-function-configuration --function-name "$FUNCTION_NAME" --output json >"$SCRATCH/current.json"
    busy="$(plan waiter <"$SCRATCH/current.json")" || exit
    if [ -n "$busy" ]; then
        echo "Lambda is at work on the function; waiting until that is done"
        ended "$busy" || true # a failure is in the next answer
        look "the function" aws lambda get-function-configuration --function-name "$FUNCTION_NAME" --output json >"$SCRATCH/current.json"
    fi
    ARCHITECTURE="$(plan architecture <"$SCRATCH/current.json")" || exit
}

deploy_function() {
    local changed
    changed="$(plan configuration "$SCRATCH/wanted.json" <"$SCRATCH/current.json")" || exit
    if [ -s "$SCRATCH/current.json" ]; then
        update_code
        update_configuration "$changed"
    else
        create_function "$changed"
    fi
}

create_function() {
    # The environment travels in a file: a command line is there for every user of the machine to read.
    change "create the function $FUNCTION_NAME ($1)" \
        aws lambda create-function --cli-input-json "file://$SCRATCH/wanted.json" \
        --zip-file "fileb://$PACKAGE" --architectures "$ARCHITECTURE" --query FunctionArn --output text
    wait_until function-active
}

update_code() {
    local there architecture
    there="$("$PYTHON" -c 'import json, sys; print(json.load(sys.stdin).get("CodeSha256", ""))' <"$SCRATCH/current.json")"
    architecture="$("$PYTHON" -c 'import json, sys; print(json.load(sys.stdin).get("Architectures", ["x86_64"])[0])' <"$SCRATCH/current.json")"
    if [ "$there" = "$CODE_SHA" ] && [ "$architecture" = "$ARCHITECTURE" ]; then
        same "code"
        return
    fi
    change "replace the code" aws lambda update-function-code --function-name "$FUNCTION_NAME" \
        --zip-file "fileb://$PACKAGE" --architectures "$ARCHITECTURE" --query CodeSha256 --output text
    wait_until function-updated
}

update_configuration() {
    if [ -z "$1" ]; then
        same "configuration"
        return
    fi
    change "set $1" aws lambda update-function-configuration \
        --cli-input-json "file://$SCRATCH/wanted.json" --query LastUpdateStatus --output text
    wait_until function-updated
}

# The -v2 waiters may be missing from an old CLI; theirs read GetFunction, the others GetFunctionConfiguration.
ended() {
    aws lambda wait "$1-v2" --function-name "$FUNCTION_NAME" 2>"$SCRATCH/error" ||
        aws lambda wait "$1" --function-name "$FUNCTION_NAME" 2>"$SCRATCH/error"
}

wait_until() {
    [ "$DRY_RUN" = no ] || return 0
    ended "$1" && return
    look "the function" aws lambda get-function-configuration --function-name "$FUNCTION_NAME" \
        --query '[StateReason,LastUpdateStatusReason]' --output text >"$SCRATCH/answer"
    fail "the function does not become ready: $(tr '\n' ' ' <"$SCRATCH/answer"); see docs/deploy.md, 'When it does not work'"
}

limit_function() {
    local there
    if [ -n "${CONCURRENCY:-}" ]; then
        there="$(look "the concurrency" aws lambda get-function-concurrency --function-name "$FUNCTION_NAME" --query ReservedConcurrentExecutions --output text)"
        if [ "$there" = "$CONCURRENCY" ]; then
            same "concurrency $CONCURRENCY"
        else
            change "reserve $CONCURRENCY concurrent executions" aws lambda put-function-concurrency \
                --function-name "$FUNCTION_NAME" --reserved-concurrent-executions "$CONCURRENCY"
        fi
    fi
    there="$(look "asynchronous events" aws lambda get-function-event-invoke-config --function-name "$FUNCTION_NAME" --output json)"
    if as_wanted retries "$SCRATCH/retries.json" <<<"$there"; then
        same "asynchronous events: five minutes, two retries"
    else
        change "keep asynchronous events for five minutes, with two retries" aws lambda put-function-event-invoke-config \
            --cli-input-json "file://$SCRATCH/retries.json"
    fi
}
