"""Reading and writing of AWS DeepRacer's files: model metadata, action spaces and logs."""
