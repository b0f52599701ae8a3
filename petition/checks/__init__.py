"""What would hurt silently stops the start instead. Each check has an id and says what to do."""

from petition.checks import configuration, database  # noqa: F401  (registers them)
