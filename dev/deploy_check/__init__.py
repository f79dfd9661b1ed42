"""Deploy the template to a CloudFormation emulator and compare the result with the template."""
