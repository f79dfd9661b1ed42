"""Ferry: files over links that break, on functions, S3 and DynamoDB."""

__version__ = "0.1.0"
