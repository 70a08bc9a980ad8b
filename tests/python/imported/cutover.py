"""A Celery application with one entry, for a beat that is stopped and replaced."""
import os

from celery import Celery

app = Celery("cutover", broker=os.environ["BROKER_URL"])
app.conf.beat_schedule = {"often": {"task": "cutover.often", "schedule": 3.0}}
