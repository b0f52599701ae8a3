from django.apps import AppConfig


class PetitionConfig(AppConfig):
    name = "petition"

    def ready(self) -> None:
        from petition import checks  # noqa: F401  (registers them)
