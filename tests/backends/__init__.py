"""Races and large uploads on real servers: SeaweedFS, DynamoDB Local, LocalStack. `make test-backends` runs them."""
