"""What differs between directories, as frozen records; nothing else asks for the vendor.

A record is chosen by the root DSE (RFC 4512, section 5.1) or by the ``vendor`` setting. A
directory that no record fits is refused by name rather than treated as if it were another:
where servers differ they differ silently.

Measured with OpenLDAP 2.5.13, 389 Directory Server 2.3.1 and Samba AD DC 4.17, the stand-in
for Active Directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional

from ldapdb.accounts import AccountForm, AccountRule
from ldapdb.entries import GROUP_CLASS
from ldapdb.errors import SettingsError
from ldapdb.protocol.dn import NameMatching
from ldapdb.protocol.entry import Entry
from ldapdb.syntaxes import IdentifierForm
from ldapdb.wellformed import one_line

__all__ = [
    "ACTIVE_DIRECTORY",
    "DS389",
    "OPENLDAP",
    "ROOT_DSE_ATTRIBUTES",
    "VENDORS",
    "SchemaLookup",
    "Vendor",
    "possible",
    "recognise",
]

ROOT_DSE_ATTRIBUTES = (
    "objectClass",
    "vendorName",
    "vendorVersion",
    "namingContexts",
    "subschemaSubentry",
    "supportedCapabilities",
    "supportedControl",
)


class SchemaLookup(Enum):
    """How a directory is asked whether it knows a class."""

    # The subschema entry is found by what it defines, and is not sent.
    FILTER = "filter"
    # The subschema entry takes no such filter: its definitions have to be read.
    DEFINITIONS = "definitions"
    # Each class has an entry of its own, beside the subschema entry.
    ENTRIES = "entries"


@dataclass(frozen=True)
class Vendor:
    """All that ldapdb has to know about a kind of directory.

    Parameters
    ----------
    name : str
        As the ``vendor`` setting spells it.
    title : str
        As its makers spell it.
    signature : (str, str)
        Attribute of the root DSE, and the value by which the server is recognised.
    identifier_attribute : str
        The stable identifier of every entry.
    identifier_forms : tuple of (str, IdentifierForm)
        How attributes that can identify a user are written, by lower-case name.
    user_name_attribute : str
        Default of the setting of that name.
    users_filter, groups_filter : str
        Defaults of the settings of that name.
    account_rules : tuple of AccountRule
        The attributes that end an account, each read with the user's entry.
    lock_filter : str
        Joins every users_filter, also one from the settings. Users match it who are not locked
        for good. It states nothing that `account_rules` do not, but a user whose lock is hidden
        from the account does not match it, whereas a hidden attribute is read as an absent one.
    name_matching : NameMatching
        How it decides whether two names are the same.
    lock_control : str, optional
        OID of the control without which the directory does not know what `lock_filter`
        asks for. A filter on an unknown attribute matches nobody, negated or not
        (RFC 4511, section 4.5.1.7).
    group_object_class : str
        Structural class of the entries that ldapdb makes with our schema.
    stock_group_object_class : str
        The same without our schema.
    group_defaults : tuple of (str, str)
        Further attributes of entries that ldapdb makes.
    account_name_attribute : str, optional
        A further name that each new group must have, unique among all accounts.
    empty_stock_groups : bool
        Whether a group of `stock_group_object_class` may have no member.
    in_chain_rule : str, optional
        OID of the matching rule by which one search finds all groups that contain somebody,
        to any depth. None: level by level. A server that does not know the rule finds
        nothing and says success.
    primary_groups : bool
        Whether each user is in one group by its number (primaryGroupID), and not as a member.
    makes_accounts : bool
        Whether a new group gets what every account of the directory has, such as a number of
        its own, whether or not it is said.
    display_names : bool
        Whether every class allows displayName.
    already_there, not_there : frozenset of int
        Result codes of a modify that adds a value that is there, or deletes one that is
        not. The same codes may mean something else, so that they are a reason to look.
    attribute_options : bool
        Whether values may have options such as ``;lang-fr``, besides the range of a part.
    subordinates_attribute : str
        Tells of an entry whether or how many entries are below it, also those that the
        account is not shown.
    hides_silently : bool
        Whether a search that the account may not make ends with success and no entry.
    schema_lookup : SchemaLookup
        How it is asked for our classes.
    schema_file : str
        What to load if it has not.
    partitions : frozenset of str
        First RDNs, in lower case, of naming contexts to which a search of the domain is
        referred and in which no user or group is ever kept.
    change_attribute : str
        Tells of each entry when it was changed last.
    change_numbers : bool
        Whether it tells so by a number that the server has counted, and not by a time.
    resumes_in_silence : bool
        Whether a server that is set up wrongly takes content synchronisation up again from a
        cookie without a word about what has changed since.
    negates_hidden : bool
        Whether "not (attribute is there)" is true of what the account is not shown, too.
    takes_account_names : bool
        Whether bind_dn may be a name of another form than a DN, such as user@domain.
    links_follow : bool
        Whether groups name an entry by its new name once it is renamed, and no longer once it
        is deleted. Elsewhere that is a matter of set-up.
    """

    name: str
    title: str
    signature: tuple[str, str]
    identifier_attribute: str
    identifier_forms: tuple[tuple[str, IdentifierForm], ...]
    user_name_attribute: str
    users_filter: str
    groups_filter: str
    account_rules: tuple[AccountRule, ...]
    lock_filter: str
    group_object_class: str
    stock_group_object_class: str
    schema_lookup: SchemaLookup
    schema_file: str
    subordinates_attribute: str
    name_matching: NameMatching = NameMatching.EXACT
    lock_control: Optional[str] = None
    group_defaults: tuple[tuple[str, str], ...] = ()
    account_name_attribute: Optional[str] = None
    empty_stock_groups: bool = True
    in_chain_rule: Optional[str] = None
    primary_groups: bool = False
    makes_accounts: bool = False
    attribute_options: bool = True
    display_names: bool = False
    already_there: frozenset[int] = frozenset({20})
    not_there: frozenset[int] = frozenset({16})
    hides_silently: bool = False
    partitions: frozenset[str] = frozenset()
    change_attribute: str = "modifyTimestamp"
    change_numbers: bool = False
    resumes_in_silence: bool = False
    negates_hidden: bool = False
    takes_account_names: bool = False
    links_follow: bool = False

    def identifier_form(self, attribute: str) -> Optional[IdentifierForm]:
        """Tell how an identifying attribute is written; None if it cannot identify."""
        return dict(self.identifier_forms).get(attribute.lower())

    @property
    def account_attributes(self) -> tuple[str, ...]:
        """The attributes of `account_rules`."""
        return tuple(rule.attribute for rule in self.account_rules)


_GROUPS_OF_NAMES = (
    "(|(objectClass=groupOfNames)(objectClass=groupOfMembers)"
    "(objectClass=groupOfUniqueNames)(objectClass=remoteAppGroup){})"
)

# What any directory may hold of accounts that another system keeps in it. A server returns
# nothing for an attribute that its schema lacks.
_ACCOUNT_RULES = (
    AccountRule("loginDisabled", AccountForm.FLAG),
    AccountRule("nsAccountLock", AccountForm.FLAG),
    AccountRule("krbPrincipalExpiration", AccountForm.KERBEROS_END),
    AccountRule("shadowExpire", AccountForm.LAST_DAYS),
)

_PPOLICY_RULES = (
    AccountRule("pwdAccountLockedTime", AccountForm.LOCKED_TIME),
    AccountRule("pwdStartTime", AccountForm.START),
    AccountRule("pwdEndTime", AccountForm.END),
)

OPENLDAP = Vendor(
    name="openldap",
    title="OpenLDAP",
    signature=("objectClass", "OpenLDAProotDSE"),
    identifier_attribute="entryUUID",
    identifier_forms=(
        ("entryuuid", IdentifierForm.UUID_TEXT),
        ("uidnumber", IdentifierForm.INTEGER),
    ),
    user_name_attribute="uid",
    users_filter="(|(objectClass=person)(objectClass=account))",
    account_rules=(*_PPOLICY_RULES, *_ACCOUNT_RULES),
    # Locked for good. Another value is the time of too many wrong passwords, which anybody
    # can type who knows a name; it must not take a user's applications away.
    lock_filter="(!(pwdAccountLockedTime=000001010000Z))",
    lock_control="1.3.6.1.4.1.42.2.27.8.5.1",  # the overlay ppolicy is loaded
    groups_filter=_GROUPS_OF_NAMES.format("(objectClass=posixGroup)"),
    # Its groupOfNames refuses to lose the last member (65).
    group_object_class=GROUP_CLASS,
    stock_group_object_class="groupOfNames",
    empty_stock_groups=False,
    schema_lookup=SchemaLookup.FILTER,
    schema_file="ldif/openldap/schema.ldif",
    subordinates_attribute="hasSubordinates",
    name_matching=NameMatching.PREPARED,
)

DS389 = Vendor(
    name="389ds",
    title="389 Directory Server",
    signature=("vendorName", "389 Project"),
    # Every entry of every release has it, and it is indexed. entryUUID is younger than many
    # directories: entries from before have none until a task gives them one.
    identifier_attribute="nsUniqueId",
    identifier_forms=(
        ("nsuniqueid", IdentifierForm.HEXADECIMAL),
        ("entryuuid", IdentifierForm.UUID_TEXT),
        ("uidnumber", IdentifierForm.INTEGER),
    ),
    user_name_attribute="uid",
    users_filter="(|(objectClass=person)(objectClass=account)(objectClass=nsPerson))",
    # Also accountUnlockTime is left alone: wrong passwords set it, which anyone can type.
    account_rules=_ACCOUNT_RULES,
    lock_filter="(!(nsAccountLock=true))",
    groups_filter=_GROUPS_OF_NAMES.format("(objectClass=posixGroup)"),
    group_object_class="groupOfNames",
    stock_group_object_class="groupOfNames",
    hides_silently=True,
    # Without `nsslapd-attribute: nsuniqueid:targetUniqueId` in its Retro Changelog Plugin.
    resumes_in_silence=True,
    schema_lookup=SchemaLookup.DEFINITIONS,
    schema_file="ldif/389ds/schema.ldif",
    subordinates_attribute="numSubordinates",
)

ACTIVE_DIRECTORY = Vendor(
    name="ad",
    title="Active Directory",
    signature=("supportedCapabilities", "1.2.840.113556.1.4.800"),
    identifier_attribute="objectGUID",
    identifier_forms=(
        ("objectguid", IdentifierForm.UUID_BYTES_LE),
        ("uidnumber", IdentifierForm.INTEGER),
    ),
    user_name_attribute="sAMAccountName",
    users_filter="(&(objectCategory=person)(objectClass=user))",
    account_rules=(
        AccountRule("userAccountControl", AccountForm.DISABLE_BIT, is_always_there=True),
        AccountRule("accountExpires", AccountForm.FILETIME_END, is_always_there=True),
        AccountRule("shadowExpire", AccountForm.LAST_DAYS),
    ),
    # ACCOUNTDISABLE, by the rule that is true if all bits of the value are set. Every user has
    # both attributes: one whose attribute is hidden is not a user, rather than one who is not
    # disabled or expired (see negates_hidden).
    lock_filter=(
        "(&(userAccountControl=*)(accountExpires=*)"
        "(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"
    ),
    groups_filter="(objectClass=group)",
    group_object_class="group",
    stock_group_object_class="group",
    # A domain-local distribution group: it takes members from every domain, and it is not
    # a security group, so that a user's grants do not swell his Kerberos tickets.
    group_defaults=(("groupType", "4"),),
    account_name_attribute="sAMAccountName",
    in_chain_rule="1.2.840.113556.1.4.1941",
    primary_groups=True,
    makes_accounts=True,
    attribute_options=False,
    display_names=True,
    already_there=frozenset({20, 68}),
    not_there=frozenset({16, 53}),
    schema_lookup=SchemaLookup.ENTRIES,
    schema_file="ldif/ad/schema.ldif",
    subordinates_attribute="msDS-Approx-Immed-Subordinates",
    change_attribute="uSNChanged",
    change_numbers=True,
    negates_hidden=True,
    takes_account_names=True,
    links_follow=True,
    partitions=frozenset({"cn=configuration", "dc=domaindnszones", "dc=forestdnszones"}),
)

VENDORS = (OPENLDAP, DS389, ACTIVE_DIRECTORY)


def possible(setting: str) -> tuple[Vendor, ...]:
    """Return the records that a ``vendor`` setting leaves open, before the root DSE is known."""
    return tuple(vendor for vendor in VENDORS if setting in ("auto", vendor.name))


def recognise(root_dse: Entry, setting: str, server: str) -> Vendor:
    """Choose the record for a server.

    Parameters
    ----------
    root_dse : Entry
        Read with :data:`ROOT_DSE_ATTRIBUTES`.
    setting : str
        The ``vendor`` setting: ``auto`` or a record's name.
    server : str
        The server's URI, for the error.

    Raises
    ------
    SettingsError
        If no record fits.
    """
    for vendor in VENDORS:
        if vendor.name == setting or (setting == "auto" and _signed(root_dse, vendor)):
            return vendor
    said = " ".join(root_dse.values("vendorName") + root_dse.values("vendorVersion"))
    known = ", ".join(vendor.name for vendor in VENDORS)
    raise SettingsError(
        f"the directory at {server} is of a kind that ldapdb does not know"
        f"{f' ({one_line(said)})' if said else ''}; if it is compatible with one of {known}, "
        "set `vendor` to that name",
        server=server,
    )


def _signed(root_dse: Entry, vendor: Vendor) -> bool:
    attribute, value = vendor.signature
    return value.lower() in map(str.lower, root_dse.values(attribute))
