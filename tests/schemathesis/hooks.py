"""What the document of the API cannot say: formats of its own, ids that exist, rules between two
fields. And the caller's own account stays as it is, else the rest of a run would be refused at the door.

RIVERWATTS_SEEDED has the ids that exist as JSON: `own` (the caller's user), `expendable` (a user),
`site_id`, `device_id`, `gateway_id`, `user_id`, `subscription_id`, and `batches` in hex.
"""

import json
import os
import re
import zlib
from datetime import datetime, timedelta

import schemathesis
from hypothesis import strategies as st

SEEDED = json.loads(os.environ["RIVERWATTS_SEEDED"])
PATHS = {
    "sites": "site_id", "devices": "device_id", "gateways": "gateway_id", "users": "user_id",
    "subscriptions": "subscription_id",
}
UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
NOBODY = "00000000-0000-7000-8000-000000000000"

schemathesis.openapi.format("iana-time-zone", st.sampled_from(["America/Anchorage", "Europe/Lisbon", "UTC"]))
METRICS = st.sampled_from(["power_output_kw", "voltage_v", "energy_kwh", "x_sluice_percent"])
schemathesis.openapi.format("metric-names", st.lists(METRICS, min_size=1, max_size=3, unique=True).map(",".join))
BATCHES = [bytes.fromhex(batch) for batch in SEEDED["batches"]]
schemathesis.openapi.media_type("application/vnd.riverwatts.batch", st.sampled_from(BATCHES))


def carried(batches):
    """A file of a gateway that was never enrolled, as docs/batch-format.md has it."""
    numbers = lambda *numbers: b"".join(number.to_bytes(4, "little") for number in numbers)
    frames = [numbers(len(batch)) + batch + numbers(zlib.crc32(batch)) for batch in batches]
    return b"RWX\x01" + bytes(16) + b"".join(frames) + numbers(0, len(batches))


schemathesis.openapi.media_type(
    "application/vnd.riverwatts.carry", st.lists(st.sampled_from(BATCHES), max_size=3).map(carried)
)


@schemathesis.hook
def before_call(context, case, kwargs):
    # With bad input too: else it is refused for an id of nothing, whatever else is wrong with it.
    use_what_exists(case)
    if case.meta is None or case.meta.generation.mode.is_positive:
        keep_rules(case)
    keep_what_the_run_needs(case)


def use_what_exists(case):
    path = case.path_parameters or {}
    noun = PATHS.get(case.path.split("/")[3]) if case.path.startswith("/api/v1/") else None
    id = path.get("id")
    # `None` is what a link of schemathesis makes of a field that is null.
    if noun and (id in (None, "None") or is_made_up(id) and int(id[-1], 16) % 4):
        path["id"] = SEEDED[noun]
    query = case.query if isinstance(case.query, dict) else {}
    for place in [query, case.body if isinstance(case.body, dict) else {}]:
        for name in ["site_id", "device_id", "gateway_id", "user_id"]:
            if is_made_up(place.get(name)):
                place[name] = SEEDED[name]


def is_made_up(id):
    return isinstance(id, str) and UUID.fullmatch(id) is not None


def keep_rules(case):
    query = case.query if isinstance(case.query, dict) else {}
    span = [query.get("from"), query.get("to")]
    if case.path.endswith("/aggregated"):
        if "points" in query:
            query.pop("resolution", None)
        begin = moment(span[0])
        if begin and begin.year < 9999:
            query["to"] = (begin + timedelta(hours=6)).isoformat()
    elif all(span):
        begin, end = moment(span[0]), moment(span[1])
        if begin and end and begin > end:
            query["from"], query["to"] = span[1], span[0]
        elif begin == end:
            del query["to"]
    if case.path == "/api/v1/jobs" and isinstance(case.body, dict):
        begin = moment(case.body.get("from"))
        if begin and begin.year < 9999:
            case.body["to"] = (begin + timedelta(hours=6)).isoformat()
    if case.path == "/api/v1/users/{id}" and isinstance(case.body, dict):
        # One's own password is changed only beside the right current one.
        case.body.pop("password", None)


def moment(text):
    try:
        return datetime.fromisoformat(text.replace("z", "Z").replace("t", "T"))
    except (AttributeError, TypeError, ValueError):
        return None


def keep_what_the_run_needs(case):
    path = case.path_parameters or {}
    ends = case.method == "DELETE" or case.path.endswith("/revoke")
    if case.path == "/api/v1/users/{id}" and case.method in ("PUT", "DELETE") and path.get("id") == SEEDED["own"]:
        path["id"] = SEEDED["expendable"]
    elif ends and path.get("id") in [SEEDED[name] for name in PATHS.values() if name != "subscription_id"]:
        path["id"] = NOBODY
