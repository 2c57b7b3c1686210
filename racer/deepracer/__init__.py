"""The files of the DeepRacer world: its model metadata, its action spaces and its logs."""
