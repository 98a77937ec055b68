"""Makes tenants by django-tenants in a database of its own, on the server of the URL OWNER; prints the rate as JSON."""

import json
import os
import sys
import time
import urllib.parse

import django
import psycopg
from django.conf import settings

DATABASE = "django_side"
owner = os.environ["OWNER"]
url = urllib.parse.urlsplit(owner)
query = dict(urllib.parse.parse_qsl(url.query))

with psycopg.connect(owner, autocommit=True) as connection:
    connection.execute(f"drop database if exists {DATABASE}")
    connection.execute(f"create database {DATABASE}")

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django_tenants.postgresql_backend",
            "NAME": DATABASE,
            "USER": urllib.parse.unquote(url.username or ""),
            "PASSWORD": urllib.parse.unquote(url.password or ""),
            "HOST": query.get("host") or urllib.parse.unquote(url.hostname or ""),
            "PORT": str(url.port or query.get("port") or 5432),
        }
    },
    DATABASE_ROUTERS=("django_tenants.routers.TenantSyncRouter",),
    SHARED_APPS=("django.contrib.contenttypes", "django_tenants", "customers"),
    TENANT_APPS=("inside",),
    INSTALLED_APPS=("django.contrib.contenttypes", "django_tenants", "customers", "inside"),
    TENANT_MODEL="customers.Client",
    TENANT_DOMAIN_MODEL="customers.Domain",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django_tenants.utils import tenant_context  # noqa: E402

from customers.models import Client, Domain  # noqa: E402
from inside import models  # noqa: E402

QUOTAS = ["members", "projects", "keys", "resources", "storage_bytes"]


def provision(n):
    slug = f"side{n:05}"
    client = Client(schema_name=slug, name=slug)
    client.save(verbosity=0)
    Domain.objects.create(domain=f"{slug}.example", tenant=client, is_primary=True)
    with tenant_context(client):
        models.Workspace.objects.create(name=slug)
        models.Project.objects.create(name="Default")
        models.Quota.objects.bulk_create(models.Quota(name=name, amount=5) for name in QUOTAS)
        models.Setting.objects.create(name="storage.prefix", value=f"tenants/{slug}/")
        models.Invitation.objects.create(name="first", email=f"admin@{slug}.example", role="owner")
        models.Mail.objects.create(name="invitation", recipient=f"admin@{slug}.example", text="Come in")
        models.Audit.objects.bulk_create(models.Audit(name=name) for name in ["create", "provision", "project", "invite"])


call_command("migrate_schemas", shared=True, interactive=False, verbosity=0)
provision(0)
count = int(sys.argv[1])
began = time.monotonic()
for n in range(1, count + 1):
    provision(n)
seconds = time.monotonic() - began
print(json.dumps({"count": count, "seconds": seconds, "per_second": count / seconds}))
