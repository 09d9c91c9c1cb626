# shellcheck shell=bash
# Option 2: an HTTP API in front of the function, /prod/heartbeat and /prod/health.

API_AUTH="${API_AUTH:-}" # unset, a route keeps what it has, and a new one takes iam

deploy_api() {
    find_api
    find_integration
    find_authorizer
    deploy_route "POST /heartbeat"
    deploy_route "GET /health"
    deploy_stage
    allow "$FUNCTION_NAME-api" apigateway.amazonaws.com "arn:$PARTITION:execute-api:$REGION:$ACCOUNT:$API/prod/*"
    echo "devices POST to https://$API.execute-api.$REGION.amazonaws.com/prod/heartbeat"
}

# took WHAT: what the last change answered, or a word that stands for it in a dry run.
took() {
    if [ "$DRY_RUN" = yes ]; then echo "($1)"; else tr -d '\n' <"$SCRATCH/answer"; fi
}

# value WHAT COMMAND…: a look at one text. As JSON, because as text the CLI puts a query to each page of a list by itself.
value() {
    look "$@" --output json | sed -e 's/^null$//' -e 's/^"\(.*\)"$/\1/'
}

# ask WHAT COMMAND…: the same of this API; nothing where the API itself is still to be made.
ask() {
    case "$API" in "("*) return 0 ;; esac
    value "$@"
}

find_api() {
    API="$(value "the APIs" aws apigatewayv2 get-apis --query "join(' ', Items[?Name=='$FUNCTION_NAME' && ProtocolType=='HTTP'].ApiId)")"
    case "$API" in
        *" "*) fail "there are several APIs named $FUNCTION_NAME ($API); remove all but one" ;;
        "")
            change "create the HTTP API $FUNCTION_NAME" aws apigatewayv2 create-api --name "$FUNCTION_NAME" --protocol-type HTTP --query ApiId --output text
            API="$(took api-id)"
            ;;
        *) same "HTTP API $API" ;;
    esac
}

find_integration() {
    INTEGRATION="$(ask "the API's integrations" aws apigatewayv2 get-integrations --api-id "$API" --query "Items[?IntegrationUri=='$FUNCTION_ARN'].IntegrationId | [0]")"
    if [ -n "$INTEGRATION" ]; then
        same "integration"
        return
    fi
    change "connect the API to the function" aws apigatewayv2 create-integration --api-id "$API" --integration-type AWS_PROXY \
        --integration-uri "$FUNCTION_ARN" --payload-format-version 2.0 --query IntegrationId --output text
    INTEGRATION="$(took integration-id)"
}

find_authorizer() {
    AUTHORIZATION=(--authorization-type AWS_IAM)
    [ "$API_AUTH" = jwt ] || return 0
    local authorizer
    authorizer="$(ask "the API's authorizers" aws apigatewayv2 get-authorizers --api-id "$API" \
        --query "Items[?JwtConfiguration.Issuer=='$JWT_ISSUER' && contains(JwtConfiguration.Audience, '$JWT_AUDIENCE')].AuthorizerId | [0]")"
    if [ -n "$authorizer" ]; then
        same "authorizer for $JWT_ISSUER"
    else
        change "accept tokens of $JWT_ISSUER for $JWT_AUDIENCE" aws apigatewayv2 create-authorizer --api-id "$API" --name "jwt-$CHANGES" \
            --authorizer-type JWT --identity-source "\$request.header.Authorization" \
            --jwt-configuration "Issuer=$JWT_ISSUER,Audience=$JWT_AUDIENCE" --query AuthorizerId --output text
        authorizer="$(took authorizer-id)"
    fi
    AUTHORIZATION=(--authorization-type JWT --authorizer-id "$authorizer")
}

deploy_route() {
    local there id target type authorizer
    there="$(ask "the API's routes" aws apigatewayv2 get-routes --api-id "$API" \
        --query "Items[?RouteKey=='$1'].join(' ', [RouteId, Target || '-', AuthorizationType || 'NONE', AuthorizerId || '-']) | [0]")"
    read -r id target type authorizer <<<"$there"
    if [ -z "$there" ]; then
        change "route $1 (${AUTHORIZATION[1]})" aws apigatewayv2 create-route --api-id "$API" --route-key "$1" \
            --target "integrations/$INTEGRATION" "${AUTHORIZATION[@]}" --query RouteId --output text
    elif [ "$target" = "integrations/$INTEGRATION" ] && is_authorized_by "$type" "$authorizer"; then
        same "route $1 ($type)"
    elif [ -z "$API_AUTH" ]; then
        change "change route $1 ($type)" aws apigatewayv2 update-route --api-id "$API" --route-id "$id" \
            --target "integrations/$INTEGRATION" --query RouteId --output text
    else
        change "change route $1 (${AUTHORIZATION[1]})" aws apigatewayv2 update-route --api-id "$API" --route-id "$id" \
            --target "integrations/$INTEGRATION" "${AUTHORIZATION[@]}" --query RouteId --output text
    fi
}

# A route that went over to IAM may still name the authorizer that it had.
is_authorized_by() {
    case "$API_AUTH" in
        "") return 0 ;;
        iam) [ "$1" = AWS_IAM ] ;;
        *) [ "$1 $2" = "JWT ${AUTHORIZATION[3]}" ] ;;
    esac
}

deploy_stage() {
    local there
    there="$(ask "the API's stage" aws apigatewayv2 get-stage --api-id "$API" --stage-name prod --query StageName)"
    if [ "$there" = prod ]; then
        same "stage prod"
    else
        change "publish the API under /prod" aws apigatewayv2 create-stage --api-id "$API" --stage-name prod --auto-deploy --query StageName --output text
    fi
}
