"""What scripts/probe-api adds to schemathesis: real ids in paths, one's own and the other tenant's, and the check that
nothing of the other tenant is ever answered."""

import json
import os
import random

import schemathesis

PROBE = json.loads(os.environ["PROBE"])
MINE, THEIRS = PROBE["mine"], PROBE["theirs"]
CHANCE = random.Random(1)


@schemathesis.auth()
class Bearer:
    def get(self, case, ctx):
        return PROBE["bearer"]

    def set(self, case, data, ctx):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Mostly ids that exist: a made-up one never gets further than the first look-up."""
    for name in path_parameters or {}:
        known = [MINE, MINE, MINE, THEIRS or MINE][CHANCE.randrange(4)]
        if name == "tenant":
            choices = [known["slug"], known["id"]]
        else:
            choices = known.get(name, [])
        if choices and CHANCE.random() < 0.8:
            path_parameters[name] = CHANCE.choice(choices)
    return path_parameters


@schemathesis.check
def nothing_of_the_other_tenant(ctx, response, case):
    if THEIRS is None:
        return
    asked = f"{case.path_parameters}{case.query}{case.body}{case.headers}"
    for name in ("mark", "id", "key", "resource", "workspace"):
        values = THEIRS[name] if isinstance(THEIRS[name], list) else [THEIRS[name]]
        for value in values:
            if value in response.text and value not in asked:
                raise AssertionError(f"an answer holds {value}, which is the other tenant's {name}")


@schemathesis.check
def a_tenant_that_is_not_ones_own_is_not_there(ctx, response, case):
    if THEIRS is None or (case.path_parameters or {}).get("tenant") not in (THEIRS["slug"], THEIRS["id"]):
        return
    if response.status_code < 400:
        raise AssertionError(f"{response.status_code} for the other tenant")
