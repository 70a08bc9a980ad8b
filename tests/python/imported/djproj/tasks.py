"""Found by autodiscover_tasks."""
from celery import shared_task


@shared_task(name="dj.shared", ignore_result=True, expires=25, time_limit=10)
def shared():
    pass
