#!/usr/bin/env bash
# Finds an employee, unlocks the account, reads page by page. Needs curl and jq.
#   OKNO_URL=http://localhost:8000 OKNO_TOKEN=… ./okno.sh ivan.petrov
set -euo pipefail

# ask <document> [<variables as JSON>]: prints the answer; an error ends the script, with its code and its request's id
ask() {
  local answer
  answer=$(jq -n --arg query "$1" --argjson variables "${2:-{\}}" '{$query, $variables}' |
    curl --silent --show-error "$OKNO_URL/graphql" \
      --header "Authorization: Bearer $OKNO_TOKEN" \
      --header "Content-Type: application/json" \
      --header "Accept: application/graphql-response+json" \
      --header "X-Okno-Client: okno-sh/1.0" \
      --data @-)
  if jq -e 'has("errors")' <<<"$answer" >/dev/null; then
    jq -r '.errors[] | "\(.extensions.code): \(.message) (request \(.extensions.requestId))"' <<<"$answer" >&2
    return 1
  fi
  printf '%s' "$answer"
}

# 1. Find. What you may not read is null; a search finds only what you may know of.
found=$(ask 'query Find($text: String!) {
  employees(search: $text, first: 1) { edges { node { id displayName } } }
}' "$(jq -n --arg text "$1" '{$text}')")
id=$(jq -r '.data.employees.edges[0].node.id // empty' <<<"$found")
[ -n "$id" ] || { echo "nobody is found by $1" >&2; exit 1; }
jq -r '.data.employees.edges[0].node.displayName' <<<"$found"

# 2. Read the card. A section is never null: meta says what it is worth.
card='query Card($id: ID!) {
  employee(id: $id) { domain { meta { state error { code } } locked } }
}'
ask "$card" "$(jq -n --arg id "$id" '{$id}')" |
  jq -r '"domain: \(.data.employee.domain.meta.state), locked: \(.data.employee.domain.locked)",
         "cost: \(.extensions.cost | "\(.requested) requested, \(.spent) spent, \(.limit) allowed")"'

# 3. Look at what would change. Errors that you can mend are data, in `errors` of the payload.
input=$(jq -n --arg employee "$id" --arg key "preview-$(date +%s%N)" \
  '{input: {operation: "domain.unlock", $employee, idempotencyKey: $key}}')
preview=$(ask 'mutation Preview($input: OperationPreviewInput!) {
  operationPreview(input: $input) { changes { title before after } previewToken errors { code message } }
}' "$input" | jq '.data.operationPreview')
jq -r '.changes[]? | "\(.title.en): \(.before) -> \(.after)"' <<<"$preview"
jq -e '.previewToken' <<<"$preview" >/dev/null ||
  { jq -r '.errors[] | "\(.code): \(.message)"' <<<"$preview"; exit 1; }

# 4. Run it. The same key may be sent again after a lost answer: the effect is never repeated, the first result comes back.
run=$(jq --arg key "run-$(date +%s%N)" --argjson preview "$preview" \
  '.input += {idempotencyKey: $key, previewToken: $preview.previewToken}' <<<"$input")
for _ in first again; do
  ask 'mutation Run($input: OperationRunInput!) {
    operationRun(input: $input) { outcome replayed errors { code message } }
  }' "$run" | jq -r '.data.operationRun | "\(.outcome), replayed: \(.replayed)", (.errors[] | "\(.code): \(.message)")'
done

# 5. Page through a list: first or last, 1 to 100, and the cursor where the page before ended.
after=null count=0 pages=0
while
  page=$(ask 'query Page($after: String) {
    employees(first: 100, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } }
  }' "{\"after\": $after}" | jq '.data.employees')
  count=$((count + $(jq '.edges | length' <<<"$page"))) pages=$((pages + 1))
  after=$(jq '.pageInfo.endCursor' <<<"$page")
  [ "$(jq '.pageInfo.hasNextPage' <<<"$page")" = true ]
do :; done
echo "$count employees on $pages pages"

# 6. A wrong request has one error with a code, and nothing was done.
ask "$card" '{"id": "nonsense"}' 2>&1 | sed 's/ (request .*//' || true
