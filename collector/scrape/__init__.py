"""From a URL to readings: fetch one metrics page, parse it, read it by an engine's specification."""
