"""Carries Landbridge's consistency token in a cookie: the next request, on whatever host or in whatever
region, sees what this one wrote and saw. Its name comes first in MIDDLEWARE."""

import re

from django.db import DatabaseError, connection

COOKIE = "landbridge_token"
TOKEN = re.compile(r"[A-Za-z0-9_~-]{1,4000}")
# No such variable: a server without Landbridge. No such value: a cookie that somebody made up.
REFUSED = (1193, 1231)


def landbridge_token(get_response):
    def middleware(request):
        token = request.COOKIES.get(COOKIE, "")
        if TOKEN.fullmatch(token):
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SET @@landbridge_token = %s", [token])
            except DatabaseError as error:
                if error.args[0] not in REFUSED:
                    raise
        response = get_response(request)
        token = token_now()
        if token:
            secure = request.is_secure()
            response.set_cookie(COOKIE, token, max_age=3600, secure=secure, httponly=True, samesite="Lax")
        return response

    return middleware


def token_now():
    if connection.connection is None:
        return ""  # The request has not used the database.
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@landbridge_token")
            return cursor.fetchone()[0]
    except DatabaseError:
        return ""
