"""A Celery application on redbeat: entries in the code, and `python redbeat_project.py` for some at run time."""
import datetime as dt
import json
import os
import sys

from celery import Celery
from celery.schedules import crontab, schedule

app = Celery("redbeat_project", broker=os.environ["BROKER_URL"])
app.conf.update(
    beat_scheduler="redbeat.RedBeatScheduler",
    redbeat_redis_url=os.environ["BROKER_URL"],
    redbeat_key_prefix="app1",
    timezone="Asia/Tokyo",
    beat_schedule={
        "static": {"task": "rb.static", "schedule": 3600.0, "args": (1,), "options": {"queue": "q1"}},
        "off in code": {"task": "rb.new", "schedule": 600.0, "enabled": False},
        "new": {"task": "rb.new", "schedule": crontab(minute=5)},
    },
)


@app.task(name="rb.static", ignore_result=True)
def static(number):
    pass


def seed():
    from redbeat import RedBeatSchedulerEntry
    from redbeat.decoder import RedBeatJSONEncoder
    from redbeat.schedules import rrule
    from redbeat.schedulers import ensure_conf, get_redis
    conf, client = ensure_conf(app), get_redis(app)
    last = dt.datetime.fromisoformat(sys.argv[1]).astimezone(app.timezone)
    interval, minute = schedule(dt.timedelta(seconds=3600)), crontab(minute="*")
    entries = [
        RedBeatSchedulerEntry("static", "rb.static", interval, args=[1], options={"queue": "q1"}, app=app),
        RedBeatSchedulerEntry("dynamic", "rb.dynamic", crontab("*/5", "8-17", "mon-fri", "1,15", "*/3"), app=app,
                              kwargs={"a": None}, options={"queue": "q1", "expires": 30, "priority": 5}),
        RedBeatSchedulerEntry("every", "rb.every", schedule(dt.timedelta(seconds=90.5)), args=[2], app=app),
        RedBeatSchedulerEntry("rule", "rb.rule", rrule("MONTHLY", byweekday=4, bysetpos=-1, byhour=9, byminute=0, bysecond=0,
                              dtstart=dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)), app=app),
        RedBeatSchedulerEntry("off", "rb.off", minute, enabled=False, app=app),
        RedBeatSchedulerEntry("gone", "rb.gone", minute, app=app),
    ]
    for entry in entries:
        entry.save()
        client.hset(entry.key, "meta", json.dumps({"last_run_at": last, "total_run_count": 3}, cls=RedBeatJSONEncoder))
    client.sadd(conf.statics_key, "static", "gone", "celery.backend_cleanup")
    # Written by hand, as redbeat's documentation shows.
    client.hset("app1hand", "definition", '{"name": "hand", "task": "rb.hand", "schedule": '
                '{"__type__": "crontab", "minute": 0}}')
    client.hset("app1broken", "definition", '{"name": "broken", "task": "rb.broken", "schedule": {"__type__": "sun"}}')
    client.zadd(conf.schedule_key, {"app1hand": 0, "app1broken": 0, "app1vanished": 0})


if __name__ == "__main__":
    seed()
