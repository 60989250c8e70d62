"""Runbooks: steps that are kept beside a service, checked, and run one after the other."""
