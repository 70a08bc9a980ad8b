"""The file that Celery's documentation gives for Django."""
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djproj.settings")
app = Celery("djproj")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.task(name="dj.known", ignore_result=True, priority=2)
def known(*args, **kwargs):
    pass
