# shellcheck shell=bash
# Option 3: AWS IoT Core rules, and the policies that things need to publish to them.

deploy_iot() {
    local kind names
    names="${FUNCTION_NAME//-/_}" # a rule's name may hold no hyphen
    for kind in device gateway; do
        deploy_rule "$kind" "${names}_$kind"
        deploy_thing_policy "$kind" "$FUNCTION_NAME-$kind" "$names"
    done
    echo "attach the policy $FUNCTION_NAME-device (or -gateway) to each certificate, and give each thing the attribute site"
}

deploy_rule() {
    local there
    there="$(look "the rule $2" aws iot get-topic-rule --rule-name "$2" --query rule --output json)"
    allow "$2" iot.amazonaws.com "arn:$PARTITION:iot:$REGION:$ACCOUNT:rule/$2" --source-account "$ACCOUNT"
    if as_wanted rule "$1" "$FUNCTION_ARN" "$SCRATCH/rule.json" <<<"$there"; then
        same "IoT rule $2"
    elif [ -z "$there" ]; then
        change "create the IoT rule $2" aws iot create-topic-rule --rule-name "$2" --topic-rule-payload "file://$SCRATCH/rule.json"
    else
        change "replace the IoT rule $2" aws iot replace-topic-rule --rule-name "$2" --topic-rule-payload "file://$SCRATCH/rule.json"
    fi
}

deploy_thing_policy() {
    local there
    there="$(look "the IoT policy $2" aws iot get-policy --policy-name "$2" --query policyDocument --output text)"
    if as_wanted policy "$1" "$SCRATCH/thing.json" "$PARTITION" "$REGION" "$ACCOUNT" "$3" <<<"$there"; then
        same "IoT policy $2"
    elif [ -z "$there" ]; then
        change "create the IoT policy $2" aws iot create-policy --policy-name "$2" --policy-document "file://$SCRATCH/thing.json"
    else
        change "add a version to the IoT policy $2" aws iot create-policy-version --policy-name "$2" --policy-document "file://$SCRATCH/thing.json" --set-as-default
    fi
}
