"""A worker and a beat under sentry-sdk, whose envelopes go to a file: BROKER_URL, RECORD."""
import json
import os
import sys

import sentry_sdk
from celery import Celery
from celery.schedules import crontab
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.transport import Transport

sys.path.insert(0, os.environ["EXAMPLES"])


class Recorder(Transport):
    """Nothing leaves the machine."""

    def capture_envelope(self, envelope):
        with open(os.environ["RECORD"], "a") as record:
            for item in envelope.items:
                if item.type == "check_in":
                    print(json.dumps(item.payload.json), file=record)


sentry_sdk.init(
    dsn="http://key@localhost/1",
    transport=Recorder,
    integrations=[CeleryIntegration(monitor_beat_tasks=True)],
)
import sentry_worker  # noqa: E402,F401

app = Celery("sentry_app", broker=os.environ["BROKER_URL"])
app.conf.timezone = "Asia/Seoul"
app.conf.beat_schedule = {
    "each minute": {"task": "tasks.good", "schedule": 60.0},
    "weekly": {"task": "tasks.bad", "schedule": crontab(minute="30", hour="7,8", day_of_week="mon-fri")},
    "often": {"task": "tasks.good", "schedule": 5.0},
}


@app.task(name="tasks.good")
def good():
    pass


@app.task(name="tasks.bad")
def bad():
    raise ValueError("no")
