"""What a person looks at: a chase view, a video, a picture of the driven line."""
