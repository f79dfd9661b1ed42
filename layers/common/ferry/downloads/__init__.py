"""Downloads: a response with bytes, or a presigned link to S3."""
