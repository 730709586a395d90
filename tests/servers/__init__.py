"""389 Directory Server and Samba's Active Directory, real and private.

``.ci/prepare machine`` fetches them. They know nothing of the tests that use them.
"""

from .ds389 import DS389
from .samba import SambaAD

__all__ = ["DS389", "SambaAD"]
