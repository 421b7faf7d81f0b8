"""The typed configuration: what may be asked for, checked before the first job."""
