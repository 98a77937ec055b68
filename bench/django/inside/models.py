"""What each tenant has in a schema of its own: tables for what Rowhouse's provisioning writes rows of, and no more."""

from django.db import models


class Row(models.Model):
    name = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Workspace(Row):
    pass


class Project(Row):
    pass


class Quota(Row):
    amount = models.BigIntegerField()


class Setting(Row):
    value = models.JSONField()


class Invitation(Row):
    email = models.TextField()
    role = models.TextField()


class Mail(Row):
    recipient = models.TextField()
    text = models.TextField()


class Audit(Row):
    pass
