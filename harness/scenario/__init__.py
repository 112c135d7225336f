"""What a run is asked to do: models of the scenario file, its loader, and the checks that need no running system."""
