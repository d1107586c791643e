"""Settings for Django's own test suite, as scripts/suites/django.sh runs it."""
import os
import unittest

from django.test.runner import DiscoverRunner


def database(name):
    return {
        "ENGINE": "django.db.backends.mysql",
        "NAME": name,
        "HOST": "127.0.0.1",
        "PORT": os.environ["SUITE_PORT"],
        "USER": os.environ["SUITE_USER"],
        "PASSWORD": os.environ["SUITE_PASSWORD"],
        # A test that hangs fails, and the others go on.
        "OPTIONS": {"read_timeout": 30},
        "TEST": {"CHARSET": "utf8mb4"},
    }


DATABASES = {"default": database("django"), "other": database("django2")}
SECRET_KEY = "suite"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "django_settings.Runner"


class Result(unittest.TextTestResult):
    """Writes what became of each test to $SUITE_RESULTS. Whoever fails once has failed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.results = {}

    def note(self, test, result):
        name = test.id().split(" (")[0] if " (" in test.id() else test.id()
        if self.results.get(name) != "fail":
            self.results[name] = result

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "pass")

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.note(test, "pass")

    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, "fail")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, "fail")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "fail")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skip")

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.note(test, "fail")

    def stopTestRun(self):
        super().stopTestRun()
        with open(os.environ["SUITE_RESULTS"], "w") as file:
            for name in sorted(self.results):
                print(name, self.results[name], file=file)


class Runner(DiscoverRunner):
    def get_resultclass(self):
        return Result
