# shellcheck shell=bash
# Option 2: an HTTP API in front of the function, /prod/heartbeat and /prod/health.

API_AUTH="${API_AUTH:-iam}"

deploy_api() {
    case "$API_AUTH" in
        iam) ;;
        jwt)
            if [ -z "${JWT_ISSUER:-}" ] || [ -z "${JWT_AUDIENCE:-}" ]; then
                misuse "API_AUTH=jwt needs JWT_ISSUER and JWT_AUDIENCE"
            fi
            ;;
        *) misuse "API_AUTH is to be iam or jwt, not $API_AUTH" ;;
    esac
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

# ask WHAT COMMAND…: a look at this API; nothing where the API itself is still to be made.
ask() {
    case "$API" in "("*) return 0 ;; esac
    look "$@" | sed -e 's/^None$//'
}

find_api() {
    API="$(look "the APIs" aws apigatewayv2 get-apis --query "Items[?Name=='$FUNCTION_NAME'].ApiId" --output text)"
    case "$API" in
        *[[:space:]]*) fail "there are several APIs named $FUNCTION_NAME ($API); remove all but one" ;;
        "" | None)
            change "create the HTTP API $FUNCTION_NAME" aws apigatewayv2 create-api --name "$FUNCTION_NAME" --protocol-type HTTP --query ApiId --output text
            API="$(took api-id)"
            ;;
        *) same "HTTP API $API" ;;
    esac
}

find_integration() {
    INTEGRATION="$(ask "the API's integrations" aws apigatewayv2 get-integrations --api-id "$API" --query "Items[?IntegrationUri=='$FUNCTION_ARN'].IntegrationId | [0]" --output text)"
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
        --query "Items[?JwtConfiguration.Issuer=='$JWT_ISSUER' && contains(JwtConfiguration.Audience, '$JWT_AUDIENCE')].AuthorizerId | [0]" --output text)"
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
    local there id fields="RouteId,Target,AuthorizationType"
    # A route that went over to IAM may still name the authorizer that it had.
    [ "$API_AUTH" = iam ] || fields="$fields,AuthorizerId"
    there="$(ask "the API's routes" aws apigatewayv2 get-routes --api-id "$API" \
        --query "Items[?RouteKey=='$1'].[$fields] | [0]" --output text | tr '\t' ' ')"
    id="${there%% *}"
    if [ -z "$there" ]; then
        change "route $1 (${AUTHORIZATION[1]})" aws apigatewayv2 create-route --api-id "$API" --route-key "$1" \
            --target "integrations/$INTEGRATION" "${AUTHORIZATION[@]}" --query RouteId --output text
    elif [ "${there#* }" = "integrations/$INTEGRATION ${AUTHORIZATION[1]}${AUTHORIZATION[3]:+ ${AUTHORIZATION[3]}}" ]; then
        same "route $1 (${AUTHORIZATION[1]})"
    else
        change "change route $1 (${AUTHORIZATION[1]})" aws apigatewayv2 update-route --api-id "$API" --route-id "$id" \
            --target "integrations/$INTEGRATION" "${AUTHORIZATION[@]}" --query RouteId --output text
    fi
}

deploy_stage() {
    if [ "$(ask "the API's stage" aws apigatewayv2 get-stage --api-id "$API" --stage-name prod --query StageName --output text)" = prod ]; then
        same "stage prod"
    else
        change "publish the API under /prod" aws apigatewayv2 create-stage --api-id "$API" --stage-name prod --auto-deploy --query StageName --output text
    fi
}
