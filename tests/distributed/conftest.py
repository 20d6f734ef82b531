"""Keeps pytest from importing what makes workers fail, which changes mcdrop when it is imported."""

collect_ignore = ["hook.py"]
