"""Real directories with short words for what tests put into them, and hosts that call."""

from support.ad import ADDirectory
from support.directory import Directory
from support.ds389 import DS389Directory
from support.host import Host
from support.openldap import Another, OpenLDAPDirectory, Private

__all__ = ["DIRECTORIES", "Another", "Directory", "Host", "Private"]

DIRECTORIES = {"openldap": OpenLDAPDirectory, "389ds": DS389Directory, "ad": ADDirectory}
