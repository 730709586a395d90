"""The settings: one frozen model, read once at the edge.

Keyword arguments count before environment variables (``LDAPDB_`` and the name), those
before the TOML file that ``config_file`` names, that before the defaults. Whatever is
wrong is said in one :class:`~ldapdb.errors.SettingsError` that names the setting, the
value and the remedy, and never a password: the host shows nothing but its log.
"""

from pydantic import SecretStr

from ldapdb.settings.loading import load
from ldapdb.settings.model import Settings
from ldapdb.settings.sources import ENVIRONMENT_PREFIX, environment_for_others

__all__ = ["ENVIRONMENT_PREFIX", "SecretStr", "Settings", "environment_for_others", "load"]
