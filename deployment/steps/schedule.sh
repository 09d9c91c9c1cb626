# shellcheck shell=bash
# Option 1: an EventBridge rule ticks the function.

deploy_schedule() {
    local rule="hvac-heartbeat-schedule" there every targets
    [ "$FUNCTION_NAME" = hvac-heartbeat-updater ] || rule="$FUNCTION_NAME-schedule"
    there="$(look "the schedule" aws events describe-rule --name "$rule" --output json)"
    if every="$(as_wanted tick "$rule" "$SCRATCH/tick.json" <<<"$there")"; then
        same "schedule $every"
    else
        [ -n "$every" ] || exit
        change "tick at $every (rule $rule)" aws events put-rule --cli-input-json "file://$SCRATCH/tick.json"
    fi
    allow "$rule" events.amazonaws.com "arn:$PARTITION:events:$REGION:$ACCOUNT:rule/$rule"
    targets="$(look "the schedule's target" aws events list-targets-by-rule --rule "$rule" --query 'Targets' --output json)"
    if as_wanted target "$FUNCTION_ARN" "$SCRATCH/targets.json" <<<"$targets"; then
        same "target of the schedule"
    else
        change "point the schedule at the function" put_targets "$rule"
    fi
}

# PutTargets answers 200 for targets that it did not take, and says so inside.
put_targets() {
    local refused
    refused="$(aws events put-targets --rule "$1" --targets "file://$SCRATCH/targets.json" \
        --query 'FailedEntries[].[ErrorCode,ErrorMessage]' --output text)" || return
    case "$refused" in "" | None) return 0 ;; esac
    echo "$refused" >&2
    return 1
}
