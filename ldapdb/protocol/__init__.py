"""What LDAP says, as values and octets: names, filters, entries, searches, controls, LDIF.

Pure: nothing here opens a socket, and nothing knows our schema.
"""

__all__: list[str] = []
