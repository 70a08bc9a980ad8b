import os

SECRET_KEY = "only a test"
INSTALLED_APPS = ["django_celery_beat", "djproj"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = DJANGO_CELERY_BEAT_TZ_AWARE = os.environ.get("USE_TZ", "1") == "1"
TIME_ZONE = "Europe/Paris"
CELERY_BROKER_URL = os.environ["BROKER_URL"]
CELERY_TIMEZONE = "Europe/Paris"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TASK_ROUTES = {"dj.routed": "slow"}
CELERY_BEAT_SCHEDULE = {
    "off in code": {"task": "dj.known", "schedule": 600.0, "enabled": False, "description": "not now"},
    "from code": {"task": "dj.known", "schedule": 600.0, "args": (1,), "options": {"expires": 5, "expire_seconds": 20}},
}
