"""URPC: predictions at several scales that agree, most where they are certain."""
