"""Moving in and out: from the host's SQL database or CSV file, and to CSV, JSON and LDIF."""
