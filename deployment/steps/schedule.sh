# shellcheck shell=bash
# Option 1: an EventBridge rule ticks the function.

SCHEDULE="${SCHEDULE:-rate(1 minute)}"

deploy_schedule() {
    local rule="hvac-heartbeat-schedule" there wanted targets
    [ "$FUNCTION_NAME" = hvac-heartbeat-updater ] || rule="$FUNCTION_NAME-schedule"
    there="$(look "the schedule" aws events describe-rule --name "$rule" --query '[ScheduleExpression,State]' --output text | tr '\t' '|')"
    if [ "$there" = "$SCHEDULE|ENABLED" ]; then
        same "schedule $SCHEDULE"
    else
        change "tick at $SCHEDULE (rule $rule)" aws events put-rule --name "$rule" --schedule-expression "$SCHEDULE" --state ENABLED
    fi
    allow "$rule" events.amazonaws.com "arn:$PARTITION:events:$REGION:$ACCOUNT:rule/$rule"
    wanted="$(plan target "$FUNCTION_ARN" "$SCRATCH/targets.json")" || exit
    targets="$(look "the schedule's target" aws events list-targets-by-rule --rule "$rule" --query 'Targets' --output json)"
    if plan contains "$wanted" <<<"$targets"; then
        same "target of the schedule"
    else
        change "point the schedule at the function" aws events put-targets --rule "$rule" --targets "file://$SCRATCH/targets.json" --query FailedEntryCount --output text
    fi
}
