from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PetitionConfig(AppConfig):
    name = "petition"
    verbose_name = _("Petition")

    def ready(self) -> None:
        from petition import checks  # noqa: F401  (registers them)
        from petition.staff import roles

        # As Django makes permissions: whoever migrates has the roles of this version.
        post_migrate.connect(roles.after_migrating, sender=self)
