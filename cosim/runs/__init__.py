"""The folder of a run: settings, journal, report page."""
