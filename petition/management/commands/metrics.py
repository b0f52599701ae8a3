from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from prometheus_client import CollectorRegistry, start_http_server

from petition import metrics


class Command(BaseCommand):
    help = "Serve the metrics of this machine to Prometheus, at METRICS_ADDRESS."

    def handle(self, **options: Any) -> None:
        if not settings.METRICS_ADDRESS:
            raise CommandError("METRICS_ADDRESS is not set. Set it, for example to 127.0.0.1:9464.")
        registry = CollectorRegistry()
        registry.register(metrics.Site())
        host, _colon, port = settings.METRICS_ADDRESS.rpartition(":")
        try:
            _server, thread = start_http_server(int(port), host.strip("[]"), registry)
        except OSError as error:
            raise CommandError(f"METRICS_ADDRESS cannot be used: {error.strerror}.") from error
        thread.join()
