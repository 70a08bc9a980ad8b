"""Celery's own beat, or celery-redbeat, with N entries that are due at one instant.

    peers.py celery|redbeat N EVERY REDIS_URL

EVERY is their interval in seconds. Prints `due <seconds since the epoch>` once everything is loaded
and written, then runs until it is killed. The instant is chosen late enough for what comes before it.
"""

import json
import os
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone

from celery import Celery
from celery.beat import PersistentScheduler, Service
from celery.schedules import schedule

kind, count, every, url = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
app = Celery("bench", broker=url)
app.conf.timezone = "UTC"
app.conf.redbeat_redis_url = url


def entries(last_run_at):
    for i in range(count):
        yield f"entry-{i:06}", {
            "task": f"proj.tasks.task_{i % 50}",
            "schedule": schedule(every),
            "args": (i, "customer"),
            "kwargs": {"dry_run": False},
            "last_run_at": last_run_at,
        }


def announce(due):
    print("due", due.timestamp(), flush=True)


if kind == "celery":
    app.conf.beat_schedule = dict(entries(datetime.now(timezone.utc)))
    name = os.path.join(tempfile.mkdtemp(prefix="beat-bench-"), "celerybeat")
    service = Service(app, scheduler_cls=PersistentScheduler, schedule_filename=name)
    loaded = service.scheduler
    # Its first tick looks at every entry.
    due = datetime.now(timezone.utc) + timedelta(seconds=2 + count * 60e-6)
    for entry in loaded.schedule.values():
        entry.last_run_at = due - timedelta(seconds=every)
    announce(due)
    service.start()
else:
    from redbeat import RedBeatScheduler
    from redbeat.decoder import RedBeatJSONEncoder
    from redbeat.schedulers import get_redis

    # What `save` of each entry writes, in a few requests instead of one for each.
    RedBeatScheduler.Entry(name="x", task="x", schedule=schedule(every), app=app)
    link, conf = get_redis(app), app.redbeat_conf
    due = datetime.now(timezone.utc) + timedelta(seconds=4 + count * 120e-6)
    last = due - timedelta(seconds=every)
    meta = json.dumps({"last_run_at": last}, cls=RedBeatJSONEncoder)
    pipe = link.pipeline(transaction=False)
    for name, entry in entries(last):
        definition = {key: entry[key] for key in ("task", "args", "kwargs", "schedule")}
        definition.update(name=name, options={}, enabled=True)
        key = conf.key_prefix + name
        pipe.hset(key, mapping={"definition": json.dumps(definition, cls=RedBeatJSONEncoder), "meta": meta})
        pipe.zadd(conf.schedule_key, {key: due.timestamp()})
        if len(pipe) >= 2_000:
            pipe.execute()
    pipe.execute()
    late = datetime.now(timezone.utc) + timedelta(seconds=1.5) > due
    if late:
        sys.exit("seeding took too long")
    announce(due)
    Service(app, scheduler_cls=RedBeatScheduler, max_interval=5).start()
