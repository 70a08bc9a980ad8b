"""A Celery application with what real ones have: routes, queues, signals, task attributes, code in the schedule."""
import datetime as dt
import os
import re
import uuid
from decimal import Decimal
from zoneinfo import ZoneInfo

from celery import Celery, Task, chain, chord, group
from celery.beat import BeatLazyFunc
from celery.schedules import crontab, schedule, solar
from kombu import Exchange, Queue
from kombu.common import Broadcast

app = Celery("plain", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
print("an application may print what it likes")


class Config:
    timezone = "Europe/Berlin"
    task_default_priority = 4
    task_default_queue = "main"
    task_queues = [
        Queue("main"),
        Queue("feeds", Exchange("media", type="topic"), routing_key="feed.#"),
        Queue("urgent", Exchange("urgent"), routing_key="urgent", queue_arguments={"x-max-priority": 10}),
        Broadcast("everybody"),
    ]
    task_routes = [
        {"plain.routed": {"queue": "urgent", "priority": 3, "serializer": "yaml"}, "feed.*": {"queue": "feeds", "routing_key": "feed.x"}},
        ([(re.compile(r"(video|image)\..*"), {"queue": "made", "priority": 6})]),
    ]
    task_annotations = {"plain.annotated": {"time_limit": 12, "priority": 9}}
    task_publish_retry_policy = {"max_retries": 5, "interval_start": 0, "interval_max": 2, "interval_step": 0.5}
    broker_transport_options = {"visibility_timeout": 3600, "global_keyprefix": "pfx:", "priority_steps": [0, 5]}
    beat_cron_starting_deadline = 7200


app.config_from_object(Config)


class Polite(Task):
    abstract = True
    ignore_result = True
    expires = 30


class Own(Task):
    abstract = True

    def apply_async(self, *args, **kwargs):
        raise RuntimeError("an export must not run this")


class Odd(schedule):
    """Code that nothing but Python can run."""


@app.task(name="plain.add")
def add(x, y):
    pass


@app.task(name="plain.anything")
def anything(*args, **kwargs):
    pass


@app.task(name="plain.attributes", queue="urgent", priority=7, expires=30, time_limit=30, soft_time_limit=20,
          ignore_result=True, serializer="yaml", compression="zlib", delivery_mode=1,
          shadow_name=lambda task, args, kwargs, options: "shadow of " + str(args[0]))
def attributes(*args, **kwargs):
    pass


@app.task(name="plain.polite", base=Polite)
def polite():
    pass


@app.task(name="plain.own", base=Own)
def own():
    pass


def nothing(*args, **kwargs):
    pass


for name in ("plain.routed", "plain.annotated", "plain.shown", "plain.unknown", "plain.pickle", "feed.known"):
    app.task(nothing, name=name)

BERLIN = ZoneInfo("Europe/Berlin")
app.conf.beat_schedule = {
    "seconds": {"task": "plain.add", "schedule": 3630.0, "args": (16, 16)},
    "attributes": {"task": "plain.attributes", "schedule": dt.timedelta(hours=1, minutes=30), "args": ("a",)},
    "override": {"task": "plain.attributes", "schedule": 3677, "args": ["b"],
                 "options": {"priority": 0, "expires": None, "ignore_result": False, "serializer": "json"}},
    "polite": {"task": "plain.polite", "schedule": 3677},
    "routed": {"task": "plain.routed", "schedule": crontab(hour=7)},
    "annotated": {"task": "plain.annotated", "schedule": crontab(minute="*/7", hour="22-1")},
    "feed": {"task": "feed.known", "schedule": crontab(minute=0, hour={3, 4}, day_of_month="13", day_of_week="fri")},
    "stranger": {"task": "feed.stranger", "schedule": crontab("0", "9-17", "mon-fri"),
                 "options": {"expires": 30, "headers": {"x": "{entry} {{ kept }}", "n": [1, {"a": 2.5}]}}},
    "pattern": {"task": "video.encode", "schedule": 1200.5, "args": ["ünï", 2**80, 1e16, -0.0, None],
                "kwargs": {"text": "at {fire_time}, '\"\\\n", "none": None}},
    "types": {"task": "plain.anything", "schedule": 3600,
              "args": [dt.datetime(2026, 1, 1, 12, 30, tzinfo=dt.timezone.utc), dt.datetime(2026, 1, 1, 0, 0, 0, 5),
                       dt.date(2026, 2, 3), dt.time(4, 5), Decimal("1.50"), uuid.UUID(int=7), b"bytes"]},
    "numbers": {"task": "plain.anything", "schedule": 3600, "args": [float("nan"), 1.5, -7, True, [], {}, ""]},
    "tuples": {"task": "plain.shown", "schedule": 3600, "kwargs": {"pair": (1, 2), "keys": {1: "one"}}},
    "zone": {"task": "plain.shown", "schedule": 3600, "args": [dt.datetime(2026, 1, 1, tzinfo=BERLIN)]},
    "options": {"task": "plain.anything", "schedule": 3600, "options": {
        "eta": dt.datetime(2040, 1, 1, tzinfo=BERLIN), "shadow": "shown", "time_limit": 1.5, "reply_to": str(uuid.UUID(int=9)),
        "group_id": "g", "root_id": "r", "parent_id": "p", "compression": "bzip2", "correlation_id": "c",
        "retry": True, "retry_policy": {"max_retries": None, "interval_max": 3}}},
    "stamped": {"task": "plain.anything", "schedule": 3600, "options": {"stamped_headers": ["by"], "by": "me"}},
    "exchange": {"task": "plain.anything", "schedule": 3600, "options": {"exchange": "media", "routing_key": "feed.news"}},
    "lone": {"task": "plain.anything", "schedule": 3600, "options": {"routing_key": "nowhere"}},
    "relative": {"task": "plain.add", "schedule": 5400, "relative": True, "args": (1, 2)},
    "sunset": {"task": "plain.add", "schedule": solar("sunset", 52.5, 13.4), "args": (1, 2)},
    "nowfun": {"task": "plain.add", "args": (1, 2), "schedule": crontab(
        minute=0, hour=9, nowfun=lambda: dt.datetime.now(ZoneInfo("Asia/Seoul")))},
    "own": {"task": "plain.own", "schedule": 3610},
    "unknown option": {"task": "plain.unknown", "schedule": 3610, "args": (1, 2), "options": {"colour": "red"}},
    # What cannot come along.
    "lazy": {"task": "plain.add", "schedule": 3600, "args": (BeatLazyFunc(lambda: 1), 2)},
    "odd": {"task": "plain.add", "schedule": Odd(3610), "args": (1, 2)},
    "odd nowfun": {"task": "plain.add", "args": (1, 2), "schedule": crontab(
        minute=0, nowfun=lambda: dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc))},
    "too few": {"task": "plain.add", "schedule": 3610, "args": (1,)},
    "set": {"task": "plain.add", "schedule": 3610, "args": ({1, 2}, 2)},
    "object": {"task": "plain.add", "schedule": 3610, "args": (object(), 2)},
    "pickle": {"task": "plain.pickle", "schedule": 3610, "args": (1, 2), "options": {"serializer": "pickle"}},
    "no schedule": {"task": "plain.add"},
    "wrong key": {"task": "plain.add", "schedule": 3610, "every": 1},
}


@app.on_after_configure.connect
def configured(sender, **kwargs):
    sender.add_periodic_task(3610, add.s(1, 2))
    sender.add_periodic_task(3620, add.s(1, 2))
    sender.add_periodic_task(crontab(hour=3, minute=0), add.s(3, 4).set(queue="feeds"), name="named", expires=30)


@app.on_after_finalize.connect
def finalized(sender, **kwargs):
    one, two = anything.s(1), anything.si(2, key=None).set(queue="urgent")
    sender.add_periodic_task(3650, add.s(1, 1), name="links", link=[one, chain(one, two)], link_error=two)
    sender.add_periodic_task(3650, add.s(2, 2), name="canvas", link=group(one, two))
    sender.add_periodic_task(3650, add.s(3, 3), name="chord", link=chord([one, two], one))
    sender.add_periodic_task(3650, chain(one, two), name="chain as task")
