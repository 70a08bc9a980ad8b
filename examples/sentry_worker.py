"""Tells Sentry that a monitored run has begun; import it where the worker's tasks are.

Celery's own beat, under sentry-sdk, opens a check-in before it sends, and the worker closes it. `beat` does not call
Sentry: it writes the headers that the worker closes the check-in by. With this signal handler the worker opens it as
well, when the task begins, so that Sentry can tell a run that hangs from one that never was. Without it Sentry hears
of a run when it has ended.
"""
from celery.signals import task_prerun
from sentry_sdk.crons import MonitorStatus, capture_checkin


@task_prerun.connect
def open_check_in(task, **_):
    headers = task.request.headers or {}
    if "sentry-monitor-check-in-id" in headers:
        capture_checkin(
            monitor_slug=headers["sentry-monitor-slug"],
            monitor_config=headers["sentry-monitor-config"],
            check_in_id=headers["sentry-monitor-check-in-id"],
            status=MonitorStatus.IN_PROGRESS,
        )
