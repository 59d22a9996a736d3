"""CPS: two networks that learn each other's labels."""
