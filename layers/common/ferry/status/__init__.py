"""Status of uploads: reports, lists of the uploads in progress, and long polling."""
