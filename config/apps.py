from importlib import import_module

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    default_site = "petition.admin.site.StaffSite"

    def ready(self) -> None:
        # Its first page asks for the site, which lies in the same package: the other way round Django would make the
        # site twice, and lose the pages of the first one.
        import_module("petition.admin")
        super().ready()
