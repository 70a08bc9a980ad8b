"""A Celery worker for the schedules of this repository. Run from its root:

    celery -A examples.worker worker --loglevel INFO --pool solo

It takes its messages from the folder that schedules/demo.toml publishes to; with CELERY_BROKER_URL set, from there.
"""
from pathlib import Path

from celery import Celery

queue, control = Path("demo/queue"), Path("demo/control")
for folder in (queue, control):
    folder.mkdir(parents=True, exist_ok=True)
app = Celery("examples", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(queue),
    "data_folder_out": str(queue),
    "control_folder": str(control),
}


@app.task(name="tasks.add")
def add(x, y):
    return x + y


@app.task(name="tasks.greet")
def greet(name, greeting="Hello"):
    return f"{greeting}, {name}!"


@app.task(name="feeds.refresh")
def refresh(limit):
    return f"{limit} feeds refreshed"


@app.task(name="accounts.expire_sessions")
def expire_sessions():
    return "no session was too old"


@app.task(name="reports.build")
def build(kind, recipients=()):
    return f"{kind} report for {', '.join(recipients) or 'nobody'}"
