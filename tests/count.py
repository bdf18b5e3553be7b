"""The independent count: what devices said, what panel and cloud say they have. It shares no code with the
programs, and reads numbers as decimals, times as whole milliseconds.

    count.py record FILE              lines `device<TAB>ms<TAB>metric=value<TAB>…`: what was given to a store
    count.py panel URL DEVICE...      what a gateway's panel has, its newest thousand of each
    count.py cloud URL TOKEN SITE     what the cloud has of a site
    count.py newest URL TOKEN SITE    of that, the newest thousand of each device
    count.py lost FILE URL TOKEN SITE FILE is JSON, `{device: [[number, ms], …]}`: what each counter said, and when

Prints JSON by device: `number`, `first`, `last` (ms), `sum` (of all values) and `hash` (SHA-256 of times and values in
order of time). `lost` prints instead how often a number came that was `never_said` or was `doubled`; how many are
`missing` in all, `most` between two that came and `untold` by a gap of the cloud; how far a time is `off_ms`.
"""

import hashlib
import json
import sys
import urllib.request
from datetime import datetime, timezone
from decimal import Decimal
from itertools import groupby

NO_METRICS = {"id", "device_id", "timestamp", "created_at", "extra", "quality", "time_uncertainty_s"}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def get(url, token=None):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read(), parse_float=Decimal, parse_int=Decimal)


def pages(url, noun, token):
    """Every row of a list, over all its pages."""
    cursor = ""
    while True:
        page = get(f"{url}{cursor}", token)
        yield from page[noun]
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


def ms(text):
    """A time of the API."""
    since = datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def reading(body):
    """Time and values of a reading of the API."""
    named = [(name, value) for name, value in body.items() if name not in NO_METRICS]
    named += [(name, value) for name, value in body["extra"].items() if name not in NO_METRICS]
    return ms(body["timestamp"]), {name: value for name, value in named if value is not None}


def devices(cloud, token, site):
    """Keys and ids of a site's devices."""
    found = pages(f"{cloud}/api/v1/devices?site_id={site}&limit=1000", "devices", token)
    return sorted((device["key"], device["id"]) for device in found)


def in_cloud(cloud, token, site):
    for key, id in devices(cloud, token, site):
        rows = pages(f"{cloud}/api/v1/devices/{id}/readings?order=asc&limit=1000", "readings", token)
        yield key, [reading(row) for row in rows]


def newest_in_cloud(cloud, token, site):
    for key, id in devices(cloud, token, site):
        rows = get(f"{cloud}/api/v1/devices/{id}/readings?order=desc&limit=1000", token)["readings"]
        yield key, [reading(row) for row in rows]


def in_panel(url, *keys):
    for key in keys:
        yield key, [reading(row) for row in get(f"{url}/api/devices/{key}/readings?limit=1000")["readings"]]


def in_record(file):
    with open(file, encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    rows.sort(key=lambda row: row[0])
    for key, own in groupby(rows, key=lambda row: row[0]):
        values = lambda row: {name: Decimal(value) for name, value in (pair.split("=") for pair in row[2:])}
        yield key, [(int(row[1]), values(row)) for row in own]


def account(readings):
    """What can be compared of the readings of one device."""
    readings = sorted(readings, key=lambda reading: reading[0])
    told = hashlib.sha256()
    total = Decimal(0)
    for time, values in readings:
        total += sum(values.values())
        named = " ".join(f"{name}={plain(value)}" for name, value in sorted(values.items()))
        told.update(f"{time} {named}\n".encode())
    first, last = (readings[0][0], readings[-1][0]) if readings else (None, None)
    return {"number": len(readings), "first": first, "last": last, "sum": plain(total), "hash": told.hexdigest()}


def plain(value):
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def lost(file, cloud, token, site):
    """What is missing of what counters said."""
    with open(file, encoding="utf-8") as text:
        said = {key: dict(pairs) for key, pairs in json.load(text).items()}
    ids = dict(devices(cloud, token, site))
    for key, readings in in_cloud(cloud, token, site):
        if key not in said:
            continue
        came = [(int(values["x_count"]), time) for time, values in sorted(readings, key=lambda reading: reading[0])]
        gaps = pages(f"{cloud}/api/v1/devices/{ids[key]}/gaps?limit=1000", "gaps", token)
        spans = {(ms(gap["from"]), ms(gap["to"])) for gap in gaps}
        holes = [
            (after - before - 1, (begin, end))
            for (before, begin), (after, end) in zip(came, came[1:])
            if after != before + 1
        ]
        numbers = [number for number, _ in came]
        yield key, {
            "number": len(came),
            "never_said": sum(number not in said[key] for number in numbers),
            "doubled": len(numbers) - len(set(numbers)),
            "missing": sum(missing for missing, _ in holes),
            "most": max((missing for missing, _ in holes), default=0),
            "untold": sum(missing for missing, span in holes if span not in spans),
            "off_ms": max((abs(time - said[key][number]) for number, time in came if number in said[key]), default=0),
            "gaps": len(spans),
        }


def main(what, *where):
    sources = {"record": in_record, "panel": in_panel, "cloud": in_cloud, "newest": newest_in_cloud}
    told = dict(lost(*where)) if what == "lost" else {key: account(rows) for key, rows in sources[what](*where)}
    print(json.dumps(told))


main(*sys.argv[1:])
