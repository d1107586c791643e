"""One request to a Django application with the middleware of docs/examples/consistency/django:

    python3 django_request.py PORT USER PASSWORD /write|/read [COOKIE]

/write adds a row, /read counts them; printed are the answer and the cookie that came with it."""

import pathlib
import sys

import pymysql

pymysql.install_as_MySQLdb()

import django
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import path

PORT, USER, PASSWORD, PATH = sys.argv[1:5]
EXAMPLES = pathlib.Path(__file__).parents[2] / "docs/examples/consistency/django"


def write(request):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO t (s) VALUES (%s)", ["django"])
    return HttpResponse("written")


def read(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM t WHERE s = %s", ["django"])
        return HttpResponse(str(cursor.fetchone()[0]))


urlpatterns = [path("write", write), path("read", read)]

sys.path.insert(0, str(EXAMPLES))
settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["landbridge_token.landbridge_token"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.mysql",
            "HOST": "127.0.0.1",
            "PORT": PORT,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "NAME": "app",
            "OPTIONS": {"ssl_disabled": True},
        }
    },
)
django.setup()
client = Client()
for cookie in sys.argv[5:]:
    client.cookies["landbridge_token"] = cookie
response = client.get(PATH)
assert response.status_code == 200, response
print(response.content.decode())
print(response.cookies["landbridge_token"].value if "landbridge_token" in response.cookies else "")
