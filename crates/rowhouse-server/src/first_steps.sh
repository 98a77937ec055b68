token=$(sed -n 's/.*"operator_token": "\(.*\)".*/\1/p' .rowhouse/connection.json)
ask() { curl -sS -H "Authorization: Bearer $1" -H 'Content-Type: application/json' "${@:3}" http://127.0.0.1:7080/api/v1/tenants$2; echo; }

# An operator founds a customer and makes its first key; the customer makes a resource and reads it
ask $token '' -d '{"slug": "initech", "name": "Initech", "kind": "organization"}'   # "slug":"initech","name":"Initech"
key=$(ask $token /initech/keys -d '{"name": "ci", "permissions": ["read", "write"]}' | sed 's/.*"secret":"\([^"]*\)".*/\1/')
ask $key /initech/resources -d '{"type": "prompt", "title": "Greeting"}'   # "title":"Greeting"
ask $key /initech/resources   # {"items":[{"id":"res_

# Another customer's, and the operator
ask $key /acme/resources         # there is no such tenant
ask $token /initech/resources    # this is the tenant's own
