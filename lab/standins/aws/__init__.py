"""Stands in for the provider `aws`: the S3 resources of pulumi-aws, against any S3 endpoint."""
