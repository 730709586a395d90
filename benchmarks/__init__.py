"""What ldapdb costs, side by side with its peers: ``make bench``."""
