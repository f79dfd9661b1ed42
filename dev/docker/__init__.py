"""The service behind `sam local start-api`: functions in Docker containers, S3, DynamoDB and KMS emulated."""
