"""Ferry: resumable file transfers on AWS Lambda, S3 and DynamoDB."""

__version__ = "0.1.0"
