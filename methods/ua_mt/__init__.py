"""UA-MT: a mean teacher that is followed only where it is certain."""
