"""URPC: predictions at four scales that agree, most where they are certain."""
