"""A Celery app whose schedule comes from the environment: BROKER_URL, SCHEDULE (JSON: name to task and seconds)."""
import json
import os

from celery import Celery

app = Celery("beat_app", broker=os.environ["BROKER_URL"])
app.conf.update(
    beat_schedule={
        name: {"task": task, "schedule": seconds}
        for name, (task, seconds) in json.loads(os.environ["SCHEDULE"]).items()
    },
    beat_max_loop_interval=1,
    task_send_sent_event=True,
)
