"""Requests to a Django application with ATOMIC_REQUESTS, each on a connection of its own as Django's default is:

    python3 django_requests.py PORT USER PASSWORD

For each line of the input one request: `write` reads five rows and changes one, `read` only reads. When the request is
over, a line with the value of the first row is printed."""

import sys

import pymysql

pymysql.install_as_MySQLdb()

import django
from django.conf import settings
from django.db import connection, models
from django.http import HttpResponse
from django.test import Client
from django.urls import path

PORT, USER, PASSWORD = sys.argv[1:4]

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.mysql",
            "HOST": "127.0.0.1",
            "PORT": PORT,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "NAME": "app",
            "ATOMIC_REQUESTS": True,
            "OPTIONS": {"ssl_disabled": True},
        }
    },
)
django.setup()


class Row(models.Model):
    n = models.IntegerField()

    class Meta:
        app_label = "shop"
        db_table = "t"
        managed = False


def five():
    return [Row.objects.get(pk=key) for key in range(1, 6)]


def read(request):
    return HttpResponse(str(five()[0].n))


def write(request):
    first = five()[0]
    first.n += 1
    first.save()
    return HttpResponse(str(first.n))


urlpatterns = [path("read", read), path("write", write)]

client = Client()
for line in sys.stdin:
    response = client.get("/" + line.strip())
    assert response.status_code == 200, response
    # As the handler does when a request has finished; the test client keeps it from that.
    connection.close()
    print(response.content.decode(), flush=True)
