from django.db import models


class DailySalt(models.Model):
    """The random salt under which networks are hashed on one UTC day.

    Its table is UNLOGGED and a row lives for its day: afterwards nobody can tell which network a digest stood for.
    """

    day = models.DateField(primary_key=True)
    salt = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return str(self.day)


class KeyFingerprint(models.Model):
    """Which EMAIL_DIGEST_KEY the digests of this database were made with (a hash of it, not the key)."""

    name = models.CharField(max_length=30, primary_key=True)
    fingerprint = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.name
